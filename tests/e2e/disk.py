# SPDX-License-Identifier: GPL-2.0-only
"""Work for a disk that shows whether its DMA is right: nothing is cached."""

import hashlib
import mmap
import os
import random
import re
import subprocess
import tempfile

from machine import read, wait

SECTOR = 512
CHUNK = 1 << 20


def open_direct(path, flags=os.O_RDWR):
    return os.open(path, flags | os.O_DIRECT)


def size(path):
    return int(read("/sys/class/block/%s/size" % os.path.basename(path))) * \
        SECTOR


def sha256(path):
    """Of all of a block device, read past the page cache."""
    digest = hashlib.sha256()
    buffer = memoryview(mmap.mmap(-1, CHUNK))
    fd = open_direct(path, os.O_RDONLY)
    try:
        at = 0
        while got := os.preadv(fd, [buffer], at):
            digest.update(buffer[:got])
            at += got
    finally:
        os.close(fd)
    return digest.hexdigest()


def pieces(rng, length, align, unit, buffer):
    """A vector of that length, of pieces of odd lengths at odd addresses."""
    vector, at = [], 0
    while length:
        size = min(length, rng.randint(1, 20 * 1024 // unit) * unit)
        at += rng.randrange(0, 3 * mmap.PAGESIZE, align)
        if at + size > len(buffer):
            return None
        vector.append(buffer[at:at + size])
        at += size
        length -= size
    return vector


def alignment(path):
    """What the disk's driver asks of addresses of memory."""
    name = "/sys/class/block/%s/queue/dma_alignment" % os.path.basename(path)
    return int(read(name)) + 1 if os.path.exists(name) else SECTOR


def random_io(path, seed, operations, unit=SECTOR, length=8 << 20):
    """Write and read at odd offsets and lengths beside a model of the disk.

    Pieces of memory are multiples of unit, but for the last; if that is more
    than a sector so are their addresses, since pages cut them as well. Returns
    what was wrong, or None.
    """
    rng = random.Random(seed)
    align = unit if unit > SECTOR else alignment(path)
    buffer = memoryview(mmap.mmap(-1, 4 << 20))
    model = bytearray(length)
    fd = open_direct(path)
    try:
        whole = memoryview(mmap.mmap(-1, length))
        os.preadv(fd, [whole], 0)
        model[:] = whole
        for step in range(operations):
            count = rng.choice((1, rng.randint(1, 16), rng.randint(1, 700)))
            count *= SECTOR
            at = rng.randrange(0, length - count, SECTOR)
            vector = pieces(rng, count, align, unit, buffer)
            if not vector or len(vector) > 256:
                continue
            if rng.random() < 0.5:
                data = rng.randbytes(count)
                done = 0
                for piece in vector:
                    piece[:] = data[done:done + len(piece)]
                    done += len(piece)
                model[at:at + count] = data
                if os.pwritev(fd, vector, at) != count:
                    return "step %d: short write at %#x" % (step, at)
                continue
            if os.preadv(fd, vector, at) != count:
                return "step %d: short read at %#x" % (step, at)
            done = 0
            for piece in vector:
                if piece != model[at + done:at + done + len(piece)]:
                    return "step %d: differs in %#x+%#x" % (step, at + done,
                                                            len(piece))
                done += len(piece)
        os.preadv(fd, [whole], 0)
        return None if whole == model else "differs in the end"
    finally:
        os.close(fd)


def tool(*command):
    run = subprocess.run(command, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True,
                         stdin=subprocess.DEVNULL)
    if run.returncode:
        raise OSError("%s: status %d: %s" % (" ".join(command),
                                             run.returncode, run.stdout))


def file_system(path, seed, total):
    """Make one, fill it with files, check it, and read the files back.

    Returns what was wrong, or None.
    """
    rng = random.Random(seed)
    sums = {}
    tool("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", path)
    with tempfile.TemporaryDirectory() as top:
        tool("mount", "-t", "ext4", path, top)
        try:
            number = 0
            while total > 0:
                size = rng.choice((0, 1, 37, 4095, 4097, 65537, 1 << 20))
                data = rng.randbytes(size)
                name = "%d/%d" % (number % 7, number)
                os.makedirs("%s/%d" % (top, number % 7), exist_ok=True)
                with open("%s/%s" % (top, name), "wb") as f:
                    f.write(data)
                sums[name] = hashlib.sha256(data).digest()
                total -= size + 4096
                number += 1
            for name in rng.sample(sorted(sums), len(sums) // 4):
                os.unlink("%s/%s" % (top, name))
                del sums[name]
        finally:
            tool("umount", top)
        tool("e2fsck", "-f", "-n", path)
        # Nothing of it may come from memory.
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
        tool("mount", "-t", "ext4", "-o", "ro", path, top)
        try:
            found = sum(len(files) for where, _, files in os.walk(top))
            if found != len(sums):
                return "%d files, not %d" % (found, len(sums))
            for name, digest in sums.items():
                with open("%s/%s" % (top, name), "rb") as f:
                    if hashlib.sha256(f.read()).digest() != digest:
                        return "%s differs" % name
        finally:
            tool("umount", top)
    return None


def keep_busy(path, writes):
    """Read (and write) the second half without a pause, until it fails."""
    rng = random.Random(os.getpid())
    buffer = memoryview(mmap.mmap(-1, CHUNK))
    fd = open_direct(path)
    half = os.lseek(fd, 0, os.SEEK_END) // 2
    while True:
        length = rng.randint(1, 512) * SECTOR
        at = half + rng.randrange(0, half - length, SECTOR)
        start = rng.randrange(0, CHUNK - length, SECTOR)
        if writes and rng.random() < 0.3:
            os.pwritev(fd, [buffer[start:start + length]], at)
        else:
            os.preadv(fd, [buffer[start:start + length]], at)


def find(device, pattern, seconds=120.0):
    """The block device that appears below a PCI device: its node."""
    def node():
        found = device.children(pattern)
        # Of nvme0c0n1, a path to a namespace, nvme0n1 is what can be opened.
        name = re.sub(r"^(nvme\d+)c\d+", r"\1",
                      os.path.basename(found[0])) if found else ""
        path = "/dev/" + name if name else ""
        return path if path and os.path.exists(path) and \
            int(read(found[0] + "/size")) else None
    path = wait(node, seconds)
    if not path:
        raise OSError("%s: no disk appeared (%s)" % (device, pattern))
    return path
