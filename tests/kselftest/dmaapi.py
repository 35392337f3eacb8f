#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's DMA API, tried by a driver of edu; prints TAP.

Runs in the VM, with modules that were built for testing, at any granule; for
an untrusted device add --append granule_dma.untrusted=0000:00:10.0:

    tools/vm --selftest --kernel 6.12 --iommu virtio --granule 16k -- \\
        tests/kselftest/dmaapi.py [--lists 100000] [--seed N]

--by kernel checks the checks: against the kernel's own DMA API, where there is
one (--iommu intel, or the in-tree virtio driver).
"""

import argparse
import mmap
import os
import random
import subprocess
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)) + "/..")
from tap import Tap  # noqa: E402

NODE = "/dev/granule-dma-test"
MASK = (1 << 64) - 1
# Lists that there is time for, even when the host is busy: if there is a limit.
LEAST = 500

parser = argparse.ArgumentParser()
parser.add_argument("--lists", type=int, default=10000,
                    help="scatterlists (default: 10000)")
parser.add_argument("--ms", type=int, default=0,
                    help="stop making lists after so long (default: never)")
parser.add_argument("--seed", type=int, default=random.randrange(1 << 32),
                    help="repeat a run")
parser.add_argument("--by", choices=("granule-dma", "kernel"),
                    default="granule-dma", help="who has to translate")
parser.add_argument("--trust", choices=("trusted", "untrusted"),
                    help="what the device has to be")
parser.add_argument("--devices", type=int, default=1, choices=(1, 2),
                    help="2: what two devices share, and nothing else")
parser.add_argument("--only", help="these commands, with commas between")
args = parser.parse_args()
tap = Tap()


def tell(text):
    """A command's lines, numbered."""
    for line in text.splitlines():
        tap.take(line)


def command(line):
    os.write(node, line.encode())
    text = b""
    while True:
        data = os.pread(node, 1 << 16, len(text))
        if not data:
            break
        text += data
    return text.decode()


def mix(x):
    """As in pool.c."""
    x = (x ^ x >> 31) * 0x7fb5d329728ea185 & MASK
    x = (x ^ x >> 27) * 0x81dadef4bc2dd44d & MASK
    return x ^ x >> 33


def content(dma, size):
    """What the device has written there."""
    return b"".join(
        (mix((at >> 3) + (2 << 48) & MASK) | 0x0101010101010101).to_bytes(
            8, "little") for at in range(dma, dma + size, 8))[:size]


def user_mapping(size, attrs):
    """A user maps what the allocator made, reads it and writes it."""
    text = command("hold size=%d attrs=%d" % (size, attrs))
    tell(text)
    if text.startswith("not"):
        return
    dma = int(text.split(" at ")[1].split()[0], 16)
    pages = -(-size // 4096) * 4096
    what = "mmap: %d bytes, attrs %#x" % (size, attrs)
    with mmap.mmap(node, pages) as view:
        want = content(dma, size)
        good = view[:size] == want
        inverse = want.translate(bytes(255 - x for x in range(256)))
        view[:size] = inverse
    # From the second page on, where there is one; not past the end.
    try:
        with mmap.mmap(node, 4096, offset=4096) as view:
            end = min(size, 8192)
            part = pages > 4096 and view[:end - 4096] == inverse[4096:end]
    except OSError:
        part = pages == 4096
    try:
        mmap.mmap(node, 2 * pages).close()
        beyond = True
    except OSError:
        beyond = False
    tap.ok(good, what)
    tap.ok(part, what + ", from the second page on")
    tap.ok(not beyond, what + ", not twice as much")
    tell(command("drop"))


def user_mappings():
    for size in (1, 4096, 12288, 16385, 200000, 5 << 20):
        user_mapping(size, 0)
    # DMA_ATTR_NO_KERNEL_MAPPING, DMA_ATTR_FORCE_CONTIGUOUS
    user_mapping(50000, 1 << 4)
    user_mapping(50000, 1 << 6)


def driver(verb, device):
    with open("/sys/bus/pci/drivers/granule-dma-test/" + verb, "w") as f:
        f.write(device)


def mapped(device):
    group = os.path.basename(os.readlink(
        "/sys/bus/pci/devices/%s/iommu_group" % device))
    with open("/sys/kernel/granule-dma/%s/mapped_granules" % group) as f:
        return int(f.read())


def lending():
    """Either driver goes while the second device has memory of the first."""
    path = "/sys/bus/pci/drivers/granule-dma-test/"
    first, second = sorted(d for d in os.listdir(path) if d[0].isdigit())
    before = mapped(first), mapped(second)
    tell(command("lend"))
    tell(command("borrow"))
    driver("unbind", second)
    tap.ok(mapped(second) == 0, "unbound, it reaches nothing")
    driver("bind", second)
    tell(command("return"))
    tap.ok((mapped(first), mapped(second)) == before, "all is as it was")
    tell(command("lend"))
    driver("unbind", first)
    tap.ok(mapped(first) == 0, "unbound, the owner reaches nothing")
    tell(command("borrow"))
    tell(command("return"))
    driver("bind", first)
    tap.ok((mapped(first), mapped(second)) == before, "all is as it was again")


SHARING = {
    "share": lambda: tell(command("share")),
    "lending": lending,
}
COMMANDS = SHARING if args.devices == 2 else {
    "limits": lambda: tell(command("limits")),
    "singles": lambda: tell(command(
        "singles count=3000 ms=20000 seed=%d" % args.seed)),
    "resource": lambda: tell(command("resource")),
    "space": lambda: tell(command("space seed=%d" % args.seed)),
    "allocs": lambda: tell(command("allocs seed=%d" % args.seed)),
    "mmap": user_mappings,
    "neighbours": lambda: tell(command("neighbours")),
    "ends": lambda: tell(command("ends")),
    **({"domain": lambda: tell(command("domain"))}
       if args.by == "granule-dma" else {}),
    "lists": lambda: tell(command("lists count=%d ms=%d least=%d seed=%d" % (
        args.lists, args.ms, min(args.lists, LEAST) if args.ms else args.lists,
        args.seed))),
    "threads": lambda: tell(command(
        "threads threads=4 ms=3000 seed=%d" % args.seed)),
}

print("# seed %d" % args.seed)
subprocess.run(["modprobe", "granule-dma-test",
                "devices=%d" % args.devices], check=True)
node = os.open(NODE, os.O_RDWR)
info = command("info")
tell(info)
by = "granule-dma" if "by granule-dma" in info else \
    "kernel" if "by the kernel" in info else "nobody"
tap.ok(by == args.by, "translated by %s, wanted %s" % (by, args.by))
if by == "granule-dma":
    # Without them a test would compare what is not there with the same.
    tap.ok("counters yes" in info, "mappings, bounces and faults are counted")
if args.trust:
    tap.ok(", %s," % args.trust in info, "the device is " + args.trust)
for name in args.only.split(",") if args.only else COMMANDS:
    COMMANDS[name]()
os.close(node)
subprocess.run(["rmmod", "granule-dma-test"], check=True)
sys.exit(tap.end())
