#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Clients that mean harm: each gets an error or is disconnected, the daemon's
memory stays bounded, and other clients are served meanwhile.

usage: hostile.py IOMMUD SOURCE_DIR
"""

import os
import random
import resource
import select
import signal
import socket
import sys
import tempfile
import threading
import time

PROGRAM, SOURCE = (os.path.abspath(a) for a in sys.argv[1:3])
sys.path[:0] = [SOURCE + "/tests/daemon", SOURCE + "/tests/cli",
                SOURCE + "/tests"]
import fixture  # noqa: E402
from harness import (  # noqa: E402
    PATIENCE, Daemon, die_with_us, wait_until)
from tap import Tap  # noqa: E402

SEED = int(os.environ.get("GRANULE_SEED", "0")) or random.randrange(1 << 32)
# What the daemon may grow to, in KiB, whatever clients do. Sanitizers keep
# freed memory for a while.
MEMORY = (288 if "sanitized" in PROGRAM else 64) << 10
# Seconds for the rest of a call; our own pauses within one have to be shorter.
TIMEOUT = 5
GET_INFO = b'{"method":"org.varlink.service.GetInfo"}\0'
STATUS = b'{"method":"org.granule.iommud.GetStatus"}\0'
ROOT = os.getuid() == 0

tap = Tap()
ok = tap.ok


class Bystander(threading.Thread):
    """A well-behaved client, which counts its slowest reply."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.client = daemon.client(timeout=5 * PATIENCE)
        self.worst = 0
        self.calls = 0
        self.error = None
        self.stop = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.stop.wait(0.005):
                start = time.monotonic()
                self.client.call("GetStatus")
                self.worst = max(self.worst, time.monotonic() - start)
                self.calls += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def connect(daemon):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(daemon.socket)
    return sock


def end_of(sock, limit=1 << 20):
    """What the daemon said until it hung up; None when it did not."""
    got = b""
    try:
        while len(got) < limit:
            data = sock.recv(65536)
            if not data:
                return got
            got += data
    except ConnectionError:
        return got
    except TimeoutError:
        return None
    return None


def send_all(sock, data):
    """False when the daemon did not want all of it."""
    try:
        sock.sendall(data)
        return True
    except (ConnectionError, TimeoutError):
        return False


def disconnected(daemon, data, what):
    sock = connect(daemon)
    send_all(sock, data)
    ok(end_of(sock) == b"", "disconnected: " + what)
    sock.close()


def deep(n, inner=b""):
    return b"[" * n + inner + b"]" * n


def test_not_calls(daemon):
    for data, what in (
            (b"\0", "nothing"),
            (b"\xff" * 100 + b"\0", "no text"),
            (b"null\0", "null"), (b"7\0", "a number"), (b"[]\0", "a list"),
            (b'"org.varlink.service.GetInfo"\0', "a string"),
            (b"{}\0", "no method"),
            (b'{"method":null}\0', "method null"),
            (b'{"method":7}\0', "method 7"),
            (b'{"method":"a.B","parameters":[]}\0', "parameters a list"),
            (b'{"method":"a.B","parameters":"x"}\0', "parameters a string"),
            (b'{"method":"a.B","more":1}\0', "more a number"),
            (b'{"method":"a.B","oneway":"true"}\0', "oneway a string"),
            (b'{"method":"a.B","extra":true}\0', "an unknown member"),
            (b'{"method":"a.B","more":true,"oneway":true}\0',
             "more and oneway"),
            (b'{"method":"a.B"} x\0', "more text after it"),
            (b'{"method":"a.B"\0', "half an object"),
            (b"{'method':'a.B'}\0", "single quotes"),
            (b'{"method":"a.B",}\0', "a comma too many"),
            (b'{"method":"a.\xc3\x28"}\0', "not UTF-8"),
            (b'{"method":"a.B","parameters":{"x":' + deep(100) + b"}}\0",
             "100 levels deep"),
            (deep(120000) + b"\0", "120,000 levels deep"),
            (b'{"a":' * 40000 + b"\0", "40,000 objects deep"),
            (GET_INFO[:-1] + b" " * (1 << 20), "1 MiB without an end")):
        disconnected(daemon, data, what)


def test_large(daemon):
    sock = connect(daemon)
    chunk = b'{"method":"' + b"x" * (1 << 20)
    sent = sum(1 for _ in range(100) if send_all(sock, chunk))
    ok(sent < 5 and end_of(sock) == b"",
       "100 MiB in one message: disconnected after less than 5", sent)
    sock.close()
    # As large as may be, and full of small things.
    for method, device, count, words, what in (
            (b"Acquire", b"1", 120000, (b"InvalidParameter", b"devices[0]"),
             "120,000 numbers in place of names: an error"),
            (b"Preflight", b'"00:03.0"', 20000, (b"Refused", b"more than 64"),
             "20,000 names: an error")):
        sock = connect(daemon)
        send_all(sock, b'{"method":"org.granule.iommud.%s","parameters":'
                 b'{"devices":[%s]}}\0' % (method,
                                           b",".join([device] * count)))
        got = sock.recv(65536)
        ok(all(word in got for word in words), what, got)
        sock.close()


def test_descriptors(daemon):
    before = daemon.fds()
    socks = []
    for count in (1, 250):
        sock = connect(daemon)
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
        socket.send_fds(sock, [STATUS], fds)
        for fd in fds:
            os.close(fd)
        ok(end_of(sock) == b"", "%d descriptors: disconnected" % count)
        socks.append(sock)
    sock = connect(daemon)
    reader, writer = os.pipe()
    socket.send_fds(sock, [STATUS[:10]], [writer])
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], PATIENCE)
    ok(ready and os.read(reader, 1) == b"", "a descriptor in half a call is "
       "closed at once")
    os.close(reader)
    for s in socks + [sock]:
        s.close()
    ok(wait_until(lambda: daemon.fds() <= before), "no descriptor is kept",
       "%d, %d before" % (daemon.fds(), before))


def test_halves(daemon):
    sock = connect(daemon)
    send_all(sock, STATUS[:-5])
    sock.shutdown(socket.SHUT_WR)
    ok(end_of(sock) == b"", "half a call and no more: disconnected")
    sock.close()
    sock = connect(daemon)
    for byte in STATUS:
        send_all(sock, bytes([byte]))
    ok(b"version" in sock.recv(65536), "a call byte by byte is a call")
    time.sleep(TIMEOUT + 0.5)
    send_all(sock, STATUS)
    ok(b"version" in sock.recv(65536), "who has nothing to say may stay "
       "longer than the timeout")
    send_all(sock, STATUS[:20])
    start = time.monotonic()
    got = end_of(sock)
    took = time.monotonic() - start
    ok(got == b"" and took < PATIENCE, "the rest does not come: disconnected "
       "after the timeout of %d s (%.1f s)" % (TIMEOUT, took))
    sock.close()
    sock = connect(daemon)
    for i in range(300):
        if not send_all(sock, b" "):
            break
        time.sleep(0.2)
    ok(i < 299, "a byte now and then does not renew the time", i)
    sock.close()
    sock = connect(daemon)
    send_all(sock, STATUS * 3)
    sock.shutdown(socket.SHUT_WR)
    got = end_of(sock)
    ok(got is not None and got.count(b"\0") == 3, "whole calls before the end "
       "are answered", got)
    sock.close()


def test_slow_reader(daemon):
    sock = connect(daemon)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    call = b'{"method":"org.granule.iommud.ListDevices"}\0'
    sock.setblocking(False)
    sent = 0
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            sent += sock.send(call * 100)
        except BlockingIOError:
            time.sleep(0.01)
        except ConnectionError:
            break
    ok(sent < 4 << 20, "who does not read is not read (%d KiB were)"
       % (sent >> 10))
    ok(wait_until(lambda: daemon.call("GetStatus")["connections"] <= 2)
       is not None, "and is disconnected after the timeout")
    sock.close()
    # A stream cannot be held back: who falls behind is disconnected.
    watcher = connect(daemon)
    send_all(watcher, b'{"method":"org.granule.iommud.Monitor","more":true}\0')
    changer = daemon.client(timeout=5 * PATIENCE)
    for _ in range(20):
        changer.call("Reload")
    got = watcher.recv(65536)
    ok(got.count(b"\0") > 10, "a watcher that is a little behind stays")
    reload = b'{"method":"org.granule.iommud.Reload","oneway":true}\0'
    for _ in range(8):
        changer.sock.sendall(reload * 1000)
        changer.call("GetStatus")
    got = end_of(watcher, 1 << 30)
    ok(got is not None and got.count(b"\0") < 8000,
       "one that does not read is disconnected", got and got.count(b"\0"))
    watcher.close()
    changer.close()


def crowd(daemon, uid, count):
    """A process of a user's with so many connections, and a pipe to say so."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        die_with_us()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, hard))
        if ROOT:
            os.setgroups([])
            os.setresuid(uid, uid, uid)
        socks = [connect(daemon) for _ in range(count)]
        os.write(writer, b"%d" % len(socks))
        signal.pause()
    finally:
        os._exit(1)


def test_connections(daemon, bystander):
    """More than there may be in all; each user tries for more than its own."""
    calls = bystander.calls
    crowds = [crowd(daemon, 1001 + i, 1000) for i in range(3)]
    there = [os.read(reader, 16) for _, reader in crowds]
    # They are connected before the daemon has heard of any.
    few = wait_until(lambda: 100 < daemon.fds() < 250)
    fds = daemon.fds()
    ok(there == [b"1000"] * 3 and few is not None and 100 < fds < 250,
       "3000 connections at once: %d descriptors in the daemon" % fds, there)
    ok(wait_until(lambda: bystander.calls > calls + 20) is not None,
       "another client is served meanwhile", bystander.error)
    if ROOT:
        count = daemon.call("GetStatus")["connections"]
        ok(100 < count <= 202, "and a new one of root's; %d are connected"
           % count)
    else:
        tap.skip("a new one of root's", "not root")
    for pid, reader in crowds:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
    ok(wait_until(lambda: try_status(daemon)) is not None,
       "when they are gone it is as before")


def try_status(daemon):
    try:
        return daemon.call("GetStatus")["connections"] <= 2
    except (OSError, EOFError):
        return False


def test_garbage(daemon):
    rng = random.Random(SEED)
    print("# seed %d; GRANULE_SEED=%d repeats it" % (SEED, SEED))
    hung = 0
    for _ in range(300):
        sock = connect(daemon)
        data = bytearray(rng.choice((STATUS, GET_INFO, STATUS * 3)))
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data))
            data[at:at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        send_all(sock, bytes(data) + b"\0")
        sock.shutdown(socket.SHUT_WR)
        hung += end_of(sock) is None
        sock.close()
    ok(not hung, "300 calls with errors in them: none hangs", hung)


def test_vanishing(daemon):
    """Clients that go away in the middle of what takes a child."""
    call = b'{"method":"org.granule.iommud.Bind","parameters":' \
           b'{"devices":["0000:02:00.0"]}}\0'
    for i in range(60):
        sock = connect(daemon)
        send_all(sock, call * (1 + i % 3))
        sock.close()

    def gone():
        """All of them: one that is not read yet has no job."""
        status = daemon.call("GetStatus")
        return not status["jobs"] and status["connections"] <= 2

    ok(wait_until(gone) is not None,
       "60 clients that vanish while the daemon binds")
    zombies = [p for p in os.listdir("/proc") if p.isdigit() and
               parent_of(p) == daemon.process.pid]
    ok(not zombies, "no child is left", zombies)


def parent_of(pid):
    try:
        with open("/proc/%s/stat" % pid, encoding="utf-8",
                  errors="replace") as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def test_few_descriptors(directory):
    """EMFILE: more clients than descriptors."""
    daemon = Daemon(PROGRAM, directory, directory + "/root", {
        "settings": {"connections": 5000, "connections_per_user": 5000}})
    daemon.socket = directory + "/sock2"
    # Too few for the daemon to lower its own limit in time.
    daemon.start(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
    socks = [connect(daemon) for _ in range(100)]
    time.sleep(0.5)
    answered = hung_up = 0
    for sock in socks:
        send_all(sock, STATUS)
    for sock in socks:
        try:
            answered += bool(sock.recv(4096))
        except ConnectionError:
            pass
        sock.close()
    hung_up = 100 - answered
    ok(answered > 5 and hung_up > 30, "out of descriptors: %d clients are "
       "served, %d disconnected" % (answered, hung_up))
    ok(wait_until(lambda: try_status(daemon)) is not None,
       "and the next one is served")
    with open("/proc/%d/stat" % daemon.process.pid, encoding="utf-8") as f:
        ticks = sum(int(t) for t in f.read().rsplit(")", 1)[1].split()[11:13])
    ok(ticks < 300, "without spinning (%d ticks)" % ticks)
    ok(daemon.stop() == 0, "and it ends as it should")


def main():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        fixture.build(SOURCE + "/tests/cli/fixtures/host.txt",
                      directory + "/root")
        daemon = Daemon(PROGRAM, directory, directory + "/root", {
            "settings": {"connections": 200, "connections_per_user": 150,
                         "timeout": TIMEOUT}}).start()
        bystander = Bystander(daemon)
        for test in (test_not_calls, test_large, test_descriptors,
                     test_halves, test_slow_reader, test_garbage,
                     test_vanishing):
            test(daemon)
        test_connections(daemon, bystander)
        bystander.stop.set()
        bystander.join()
        ok(bystander.error is None and bystander.calls > 100 and
           bystander.worst < 20, "meanwhile another client made %d calls; the "
           "slowest took %d ms" % (bystander.calls, bystander.worst * 1000),
           bystander.error)
        bystander.client.close()
        peak = int(daemon.status("VmHWM"))
        ok(peak < MEMORY, "the daemon never took more than %d MiB (%.1f)"
           % (MEMORY >> 10, peak / 1024))
        ok(daemon.read_log().count("disconnected") < 60, "and clients do not fill its log",
           daemon.read_log()[-3000:])
        ok(daemon.stop() == 0, "it ends as it should")
        test_few_descriptors(directory)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
