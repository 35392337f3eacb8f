# SPDX-License-Identifier: GPL-2.0-only
"""Work for a network card whose other side is QEMU's user network."""

import fcntl
import hashlib
import os
import random
import socket
import struct
import time

from machine import read, wait

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891C
UP = 1
ECHO, ECHO_REPLY = 8, 0
BULK_PORT = 1234	# tests/e2e/bulk.py answers


# QEMU's virtio-iommu looks an address up as the interval [a, a + 1], so that an
# access that begins with the last byte of a mapping may be taken for the next
# mapping's. What the kernel cuts packets from has to lie at multiples of 4; it
# fills pages with what a process sends, so other sizes are another process's.
UNIT = 4


def in_child(function, *args):
    """What function() returns, in a process of its own: None or a text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            text = function(*args) or ""
        except OSError as error:
            text = str(error)
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as f:
        text = f.read().decode()
    return "it died" if os.waitpid(pid, 0)[1] else text or None


class Card:
    """One interface; net is "10.0.2", say: .2 is QEMU, .100 is bulk.py."""

    def __init__(self, device, net):
        self.device = device
        self.net = net
        self.name = self.socket = None

    def find(self, seconds=120.0):
        found = wait(lambda: self.device.children("net/*"), seconds)
        if not found:
            raise OSError("%s: no network interface appeared" % self.device)
        self.name = os.path.basename(found[0])

    def ioctl(self, number, data):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            return fcntl.ioctl(s, number,
                               struct.pack("16s24s", self.name.encode(), data))

    def set_flags(self, up):
        answer = self.ioctl(SIOCGIFFLAGS, b"")
        flags = struct.unpack_from("<H", answer, 16)[0]
        flags = flags | UP if up else flags & ~UP
        self.ioctl(SIOCSIFFLAGS, struct.pack("<H", flags))

    def up(self):
        address = struct.pack("<HH4s", socket.AF_INET, 0,
                              socket.inet_aton(self.net + ".15"))
        mask = struct.pack("<HH4s", socket.AF_INET, 0,
                           socket.inet_aton("255.255.255.0"))
        self.ioctl(SIOCSIFADDR, address)
        self.ioctl(SIOCSIFNETMASK, mask)
        self.set_flags(True)
        carrier = "/sys/class/net/%s/carrier" % self.name
        if not wait(lambda: read(carrier) == "1"):
            raise OSError("%s: no carrier" % self.name)

    def down(self):
        self.set_flags(False)

    def bound(self, family, kind, protocol=0):
        s = socket.socket(family, kind, protocol)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE,
                     self.name.encode())
        s.settimeout(90)
        return s

    def ping(self, sizes):
        """Answers have to have the bytes that were sent. What was wrong."""
        rng = random.Random(1)
        with self.bound(socket.AF_INET, socket.SOCK_RAW,
                        socket.IPPROTO_ICMP) as s:
            for number, size in enumerate(sizes):
                data = rng.randbytes(size)
                s.sendto(echo_request(number, data), (self.net + ".2", 0))
                answer = wait_reply(s, number)
                if answer != data:
                    return "ping of %d bytes: %s" % (
                        size, "no answer" if answer is None else "differs")
        return None

    def bulk(self):
        s = self.bound(socket.AF_INET, socket.SOCK_STREAM)
        s.connect((self.net + ".100", BULK_PORT))
        return s

    def put(self, size):
        """Send random bytes; the host says what it got."""
        size -= size % UNIT
        data = random.Random(size).randbytes(size)
        with self.bulk() as s:
            s.sendall(b"put %11d\n" % size)
            s.sendall(data)
            answer = s.makefile("rb").readline().decode().strip()
        want = "%d %s" % (size, hashlib.sha256(data).hexdigest())
        return None if answer == want else \
            "the host got other bytes: %r, not %r" % (answer, want)

    def get(self, size):
        """Receive random bytes and the host's checksum."""
        size -= size % UNIT
        with self.bulk() as s:
            s.sendall(b"get %11d\n" % size)
            stream = s.makefile("rb")
            data = stream.read(size)
            digest = stream.readline().decode().strip()
        return None if digest == hashlib.sha256(data).hexdigest() else \
            "other bytes than the host sent"

    def echo(self, count, seed):
        """Small messages there and back, each a packet of its own."""
        rng = random.Random(seed)
        with self.bulk() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(b"echo   \n")
            stream = s.makefile("rb")
            for _ in range(count):
                data = rng.randbytes(rng.choice((4, 60, 400, 1400, 5000)))
                s.sendall(struct.pack("<I", len(data)) + data)
                if stream.read(len(data)) != data:
                    return "an echo differs"
        return None


def echo_request(number, data):
    head = struct.pack(">BBHHH", ECHO, 0, 0, os.getpid() & 0xFFFF, number)
    packet = head + data
    total = sum(struct.unpack(">%dH" % (len(packet) // 2),
                              packet[:len(packet) & ~1]))
    if len(packet) & 1:
        total += packet[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">BBHHH", ECHO, 0, ~total & 0xFFFF,
                       os.getpid() & 0xFFFF, number) + data


def wait_reply(s, number):
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            packet = s.recv(65536)
        except socket.timeout:
            return None
        packet = packet[(packet[0] & 15) * 4:]
        kind, _, _, ident, seq = struct.unpack(">BBHHH", packet[:8])
        if (kind, ident, seq) == (ECHO_REPLY, os.getpid() & 0xFFFF, number):
            return packet[8:]
    return None


def keep_busy(card):
    """Packets of all sizes without a pause, until it fails."""
    rng = random.Random(os.getpid())
    with card.bound(socket.AF_INET, socket.SOCK_RAW,
                    socket.IPPROTO_ICMP) as s:
        s.setblocking(False)
        number = 0
        while True:
            number = (number + 1) & 0xFFFF
            try:
                s.sendto(echo_request(number, rng.randbytes(
                    rng.randint(0, 1472))), (card.net + ".2", 0))
                s.recv(65536)
            except BlockingIOError:
                time.sleep(0.001)
