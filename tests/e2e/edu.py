# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's edu, driven through its BAR in sysfs while no driver has it."""

import ctypes
import mmap
import os
import struct
import time

# docs/specs/edu.rst of QEMU
ID = ("0x1234", "0x11e8")
SRC, DST, COUNT, CMD = 0x80, 0x88, 0x90, 0x98
START, TO_RAM = 1, 2
BUFFER, SIZE = 0x40000, 4096
COMMAND, MEMORY_SPACE, BUS_MASTER = 4, 2, 4

MAP_HUGETLB = 0x40000
HUGE = 2 << 20


class Edu:
    """Close it before a driver is bound: its BAR is mapped meanwhile."""

    def __init__(self, device):
        fd = os.open(device.path + "/config", os.O_RDWR)
        command = struct.unpack("<H", os.pread(fd, 2, COMMAND))[0]
        os.pwrite(fd, struct.pack("<H", command | MEMORY_SPACE | BUS_MASTER),
                  COMMAND)
        os.close(fd)
        fd = os.open(device.path + "/resource0", os.O_RDWR | os.O_SYNC)
        self.bar = mmap.mmap(fd, os.fstat(fd).st_size)
        os.close(fd)

    def reg(self, offset, value=None):
        # One aligned access each, as a device register wants it.
        if value is None:
            return ctypes.c_uint64.from_buffer(self.bar, offset).value
        ctypes.c_uint64.from_buffer(self.bar, offset).value = value
        return value

    def dma(self, src, dst, count, flags=0):
        self.reg(SRC, src)
        self.reg(DST, dst)
        self.reg(COUNT, count)
        self.reg(CMD, START | flags)
        while self.reg(CMD) & START:
            time.sleep(0.002)

    def to_memory(self, address, count=SIZE):
        self.dma(BUFFER, address, count, TO_RAM)

    def from_memory(self, address, count=SIZE):
        self.dma(address, BUFFER, count)

    def close(self):
        self.bar.close()


class HugePage:
    """2 MiB of memory that stays where it is, and where that is."""

    def __init__(self):
        path = "/proc/sys/vm/nr_hugepages"
        with open(path, encoding="ascii") as f:
            self.before = int(f.read())
        with open(path, "w", encoding="ascii") as f:
            f.write(str(self.before + 1))
        self.memory = mmap.mmap(-1, HUGE, mmap.MAP_SHARED |
                                mmap.MAP_ANONYMOUS | MAP_HUGETLB)
        self.memory[:] = bytes(HUGE)
        self.address = self.physical()

    def physical(self):
        buffer = ctypes.c_char.from_buffer(self.memory)
        virtual = ctypes.addressof(buffer)
        del buffer
        with open("/proc/self/pagemap", "rb") as f:
            f.seek(virtual // mmap.PAGESIZE * 8)
            entry = struct.unpack("<Q", f.read(8))[0]
        return (entry & ((1 << 55) - 1)) * mmap.PAGESIZE

    def close(self):
        self.memory.close()
        with open("/proc/sys/vm/nr_hugepages", "w", encoding="ascii") as f:
            f.write(str(self.before))
