#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Let edu copy a pattern out of and into memory that is mapped for it.

iommuctl map DEVICE --size SIZE --exec tests/e2e/edu_dma.py

Memory, device and IOVA come from the environment that iommuctl gives to the
command. Exits with 1 when a byte differs, or when DMA outside the mapping gets
through.
"""

import ctypes
import fcntl
import mmap
import os
import struct
import sys
import time

GET_REGION_INFO = ord(";") << 8 | 108
BAR0, CONFIG = 0, 7
COMMAND, MEMORY_SPACE, BUS_MASTER = 4, 2, 4
# edu: docs/specs/edu.rst of QEMU
SRC, DST, COUNT, CMD = 0x80, 0x88, 0x90, 0x98
START, TO_RAM = 1, 2
BUFFER, SIZE = 0x40000, 4096


class Edu:
    def __init__(self, fd):
        self.fd = fd
        config = self.region(CONFIG)[1]
        command = struct.unpack("<H", os.pread(fd, 2, config + COMMAND))[0]
        os.pwrite(fd, struct.pack("<H", command | MEMORY_SPACE | BUS_MASTER),
                  config + COMMAND)
        size, offset = self.region(BAR0)
        self.bar = mmap.mmap(fd, size, offset=offset)

    def region(self, index):
        info = bytearray(struct.pack("<IIIIQQ", 32, 0, index, 0, 0, 0))
        fcntl.ioctl(self.fd, GET_REGION_INFO, info)
        return struct.unpack("<IIIIQQ", info)[4:]

    def reg(self, offset):
        # One aligned access each, as a device register wants it.
        return ctypes.c_uint64.from_buffer(self.bar, offset)

    def dma(self, src, dst, flags):
        self.reg(SRC).value = src
        self.reg(DST).value = dst
        self.reg(COUNT).value = SIZE
        self.reg(CMD).value = START | flags
        while self.reg(CMD).value & START:
            time.sleep(0.001)


def main():
    env = {name: int(os.environ["IOMMU_" + name], 0)
           for name in ("IOVA", "LENGTH", "DEVICE_FD", "MEMORY_FD",
                        "MEMORY_OFFSET")}
    memory = mmap.mmap(env["MEMORY_FD"], env["LENGTH"],
                       offset=env["MEMORY_OFFSET"])
    edu = Edu(env["DEVICE_FD"])
    iova, back = env["IOVA"], env["IOVA"] + env["LENGTH"] - SIZE
    pattern = os.urandom(SIZE)

    memory[:SIZE] = pattern
    edu.dma(iova, BUFFER, 0)
    edu.dma(BUFFER, back, TO_RAM)
    good = memory[-SIZE:] == pattern
    print("DMA  memory 0x%x -> device -> memory 0x%x: %d bytes %s"
          % (iova, back, SIZE, "equal" if good else "DIFFER"))

    memory[-SIZE:] = bytes(SIZE)
    outside = iova + env["LENGTH"]
    edu.dma(outside, BUFFER, 0)
    edu.dma(BUFFER, outside, TO_RAM)
    untouched = memory[:SIZE] == pattern and memory[-SIZE:] == bytes(SIZE)
    print("DMA  at 0x%x, outside the mapping: our memory is %s"
          % (outside, "untouched" if untouched else "CHANGED"))
    return 0 if good and untouched else 1


if __name__ == "__main__":
    sys.exit(main())
