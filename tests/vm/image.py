# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's image: its release, and what is in it.

A bzImage (Documentation/arch/x86/boot.rst) unpacks itself, which takes an
emulated CPU longer than all the rest of its boot. QEMU starts what is in it as
well, by the entry for PVH.
"""

import struct
import subprocess

MAGIC = {b"\xfd7zXZ\0": ("xz", "-dc"), b"\x28\xb5\x2f\xfd": ("zstd", "-qdc")}
# XEN_ELFNOTE_PHYS32_ENTRY, before its name.
PVH_NOTE = (struct.pack("<III4s", 4, 4, 18, b"Xen\0"),
            struct.pack("<III4s", 4, 8, 18, b"Xen\0"))


class NotBzImage(Exception):
    """It has no such header."""


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    if data[0x202:0x206] != b"HdrS" and data[0x1FE:0x200] != b"\x55\xaa":
        raise NotBzImage(path)
    return data


def release(path):
    """The release in a bzImage's header."""
    data = read(path)
    at = struct.unpack_from("<H", data, 0x20E)[0] + 0x200
    return data[at:data.index(b"\0", at)].split()[0].decode()


def vmlinux(path):
    """What a bzImage unpacks, if QEMU can start that, or None."""
    data = read(path)
    start, size = struct.unpack_from("<II", data, 0x248)
    start += ((data[0x1F1] or 4) + 1) * 512
    # Its size when unpacked follows, which is none of the compressor's.
    payload = data[start:start + size - 4]
    command = next((c for m, c in MAGIC.items() if payload.startswith(m)), None)
    if not command:
        return None
    kernel = subprocess.run(command, input=payload, stdout=subprocess.PIPE,
                            check=True).stdout
    return kernel if any(note in kernel for note in PVH_NOTE) else None
