#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Unmodified QEMU as the VMM: pass edu through with -object iommufd, drive DMA.

    the VM (tools/vm)                          QEMU inside it (this starts it)
    edu -- VT-d -- granule -- /dev/iommu  <--- -object iommufd
                   granule-vfio -- vfioN  <--- -device vfio-pci,iommufd=
                                               qtest: we are its CPU

Run inside the VM, as root, with granule loaded. Prints TAP.
"""

import argparse
import glob
import os
import subprocess
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)) + "/..")
from tap import Tap  # noqa: E402

CACHE = os.environ.get("GRANULE_CACHE", "/var/cache/granule")
QEMU = CACHE + "/qemu/bin/qemu-system-x86_64"
STATS = "/sys/class/misc/iommu/stats/"

# edu: docs/specs/edu.rst of QEMU
EDU_ID = 0x11E81234
DMA_SRC, DMA_DST, DMA_COUNT, DMA_CMD = 0x80, 0x88, 0x90, 0x98
DMA_START, DMA_TO_RAM = 1, 2
BUFFER = 0x40000
BAR = 0xE0000000
PATTERN = bytes((i * 37 + 11) & 0xFF for i in range(4096))

# All of its memory from files: the RAM's has huge pages by itself, the others
# (firmware, option ROMs) if the administrator lets shmem have them.
HUGE = ["-object", "memory-backend-memfd,id=ram,size=64M,share=on,hugetlb=on,"
        "hugetlbsize=2M", "-machine", "memory-backend=ram,aux-ram-share=on"]


class Qtest:
    """QEMU with its qtest protocol on standard input and output."""

    def __init__(self, args, fds=(), **options):
        self.proc = subprocess.Popen(args, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True,
                                     pass_fds=fds, **options)
        # They are QEMU's alone, so that its end is their end.
        for fd in fds:
            os.close(fd)

    def call(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()
        while True:
            answer = self.proc.stdout.readline()
            if not answer:
                raise EOFError("QEMU ended with status %d"
                               % self.proc.wait())
            words = answer.split()
            if words[0] == "OK":
                return words[1] if len(words) > 1 else None
            if words[0] in ("FAIL", "ERR"):
                raise OSError(line + ": " + answer)

    def config(self, devfn, reg, value=None):
        self.call("outl 0xcf8 0x%x" % (1 << 31 | devfn << 8 | reg))
        if value is None:
            return int(self.call("inl 0xcfc"), 16)
        return self.call("outl 0xcfc 0x%x" % value)

    def write(self, addr, data):
        self.call("write 0x%x 0x%x 0x%s" % (addr, len(data), data.hex()))

    def read(self, addr, size):
        return bytes.fromhex(self.call("read 0x%x 0x%x" % (addr, size))[2:])

    def reg(self, offset, value=None):
        if value is None:
            return int(self.call("readq 0x%x" % (BAR + offset)), 16)
        return self.call("writeq 0x%x 0x%x" % (BAR + offset, value))

    def dma(self, src, dst, count, direction):
        self.reg(DMA_SRC, src)
        self.reg(DMA_DST, dst)
        self.reg(DMA_COUNT, count)
        self.reg(DMA_CMD, DMA_START | direction)
        while self.reg(DMA_CMD) & DMA_START:
            pass

    def give_edu(self):
        """Find edu and give it a BAR and bus mastering: is it there?"""
        devfn = find_edu(self)
        if devfn is not None:
            self.config(devfn, 0x10, BAR)
            self.config(devfn, 0x04, 0x6)
        return devfn is not None

    def edu_does_dma(self):
        """A pattern out of the guest's RAM and in again elsewhere."""
        pattern = os.urandom(len(PATTERN))
        self.write(0x100000, pattern)
        self.dma(0x100000, BUFFER, len(pattern), 0)
        self.write(0x200000, bytes(len(pattern)))
        self.dma(BUFFER, 0x200000, len(pattern), DMA_TO_RAM)
        return self.read(0x200000, len(pattern)) == pattern

    def end(self):
        self.proc.stdin.close()
        self.proc.terminate()
        self.proc.wait()


def stats():
    return {os.path.basename(f): int(open(f).read())
            for f in glob.glob(STATS + "*")}


def find_edu(qtest):
    for devfn in range(0, 256, 8):
        if qtest.config(devfn, 0) == EDU_ID:
            return devfn
    return None


def shadow(qtest, granule):
    """Have ROM and RAM take turns below 1 MiB, as firmware does at boot."""
    # PAM0 is the upper 64K; PAM1 to PAM6 have a field for each 16K.
    values = [0x00, 0x30, 0x10] if granule > 16384 else \
        [0x00, 0x30303030, 0x33333333, 0x13311330, 0x03300313]
    for value in values:
        qtest.config(0, 0x90, value)
        qtest.config(0, 0x94, 0 if granule > 16384 else value & 0x333333)


def run(tap, qemu, how, fds=(), granule=0, accel="tcg"):
    qtest = Qtest([qemu, "-accel", accel, "-S", "-nodefaults", "-display",
                   "none", "-machine", "q35", "-m", "64", "-qtest", "stdio",
                   "-qtest-log", "none"] + how, fds)
    try:
        devfn = find_edu(qtest)
        if not tap.ok(devfn is not None, "QEMU passes edu through"):
            return
        before = stats()
        tap.ok(before["devices"] == 1 and before["pinned_bytes"] >= 64 << 20,
               "its RAM is mapped and pinned (%d MiB)"
               % (before["pinned_bytes"] >> 20))
        qtest.config(devfn, 0x10, BAR)
        qtest.config(devfn, 0x04, 0x6)
        tap.ok(int(qtest.call("readl 0x%x" % BAR), 16) & 0xFF == 0xED,
               "edu answers in its BAR")
        qtest.write(0x100000, PATTERN)
        qtest.dma(0x100000, BUFFER, len(PATTERN), 0)
        qtest.write(0x200000, bytes(len(PATTERN)))
        qtest.dma(BUFFER, 0x200000, len(PATTERN), DMA_TO_RAM)
        tap.ok(qtest.read(0x200000, len(PATTERN)) == PATTERN,
               "DMA in and out of the guest's RAM: 4096 bytes equal")
        qtest.dma(BUFFER, (64 << 20) - 4096, 4096, DMA_TO_RAM)
        tap.ok(qtest.read((64 << 20) - 4096, 4096) == PATTERN,
               "DMA to the last page of its RAM")
        if granule:
            shadow(qtest, granule)
            qtest.dma(BUFFER, 0x90000, len(PATTERN), DMA_TO_RAM)
            tap.ok(qtest.read(0x90000, len(PATTERN)) == PATTERN,
                   "DMA after its firmware's memory was moved about")
    except (EOFError, OSError) as error:
        tap.ok(False, "QEMU: %s" % error)
    finally:
        qtest.end()
    tap.ok(not any(stats().values()), "QEMU's end leaves nothing: %s" % stats())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("device", nargs="?", default="0000:00:10.0",
                        help="PCI address of edu, bound to vfio-pci")
    parser.add_argument("--qemu", default=QEMU)
    parser.add_argument("--granule", type=int, default=0,
                        help="more than the CPU's page: use memory of such "
                        "pieces")
    args = parser.parse_args()
    kvm = not subprocess.call(["modprobe", "-q", "kvm-amd"])
    each = 7 if args.granule else 6
    tap = Tap(plan=each * 3 if kvm else each * 2 + 1)
    more = HUGE if args.granule else []
    print("# QEMU opens /dev/iommu and the device by itself")
    run(tap, args.qemu,
        ["-object", "iommufd,id=i0", "-device",
         "vfio-pci,host=%s,iommufd=i0" % args.device] + more,
        granule=args.granule)
    print("# QEMU gets both as file descriptors")
    nodes = glob.glob("/sys/bus/pci/devices/%s/vfio-dev/vfio*" % args.device)
    node = "/dev/vfio/devices/" + os.path.basename(nodes[0])
    iommufd, vfio = os.open("/dev/iommu", os.O_RDWR), os.open(node, os.O_RDWR)
    run(tap, args.qemu,
        ["-object", "iommufd,id=i0,fd=%d" % iommufd, "-device",
         "vfio-pci,fd=%d,iommufd=i0" % vfio] + more, (iommufd, vfio),
        granule=args.granule)
    print("# QEMU tells KVM of the device")
    if kvm:
        run(tap, args.qemu,
            ["-object", "iommufd,id=i0", "-device",
             "vfio-pci,host=%s,iommufd=i0" % args.device] + more,
            granule=args.granule, accel="kvm")
    else:
        tap.skip("under KVM", "the CPU is not an AMD with virtualisation")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
