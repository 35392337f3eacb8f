#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""On the host: the other side of the guest's bulk transfers.

QEMU starts one for each connection (-netdev user,guestfwd=...-cmd:). One
command on a line:

    put N    then N bytes; answered with how many came, and their SHA-256
    get N    answered with N random bytes, then their SHA-256
    echo     then messages, 4 bytes of length before each, which come back
"""

import hashlib
import os
import struct
import sys


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    words = source.readline().split()
    if not words:
        return
    if words[0] == b"echo":
        while len(head := source.read(4)) == 4:
            sink.write(source.read(struct.unpack("<I", head)[0]))
            sink.flush()
        return
    if words[0] == b"put":
        data = source.read(int(words[1]))
        sink.write(b"%d " % len(data))
    else:
        data = os.urandom(int(words[1]))
        sink.write(data)
    sink.write(hashlib.sha256(data).hexdigest().encode() + b"\n")
    sink.flush()


if __name__ == "__main__":
    main()
