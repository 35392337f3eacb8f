#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What one user can do to others by way of iommud, on a made-up /sys.

usage: test_others.py IOMMUD SOURCE_DIR
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM, SOURCE = (os.path.abspath(a) for a in sys.argv[1:3])
sys.path[:0] = [SOURCE + "/tests/daemon", SOURCE + "/tests",
                SOURCE + "/tests/cli"]
import fixture  # noqa: E402
from harness import (  # noqa: E402
    Daemon, Error, answers, die_with_us, wait_until)
from tap import Tap  # noqa: E402

DEV = "0000:00:03.0"
ROOT = os.geteuid() == 0
REGION = 65536

tap = Tap()
ok = tap.ok


def ring(start, nr):
    return {"r%d" % i: {"size": REGION, "iova": hex(start + i * REGION)}
            for i in range(nr)}


class Place:
    """A tree of fixture.py, and a daemon that may have been there before."""

    def __init__(self, policy, leases=()):
        self.temporary = tempfile.TemporaryDirectory()
        directory = self.temporary.name
        os.chmod(directory, 0o755)
        fixture.build(SOURCE + "/tests/cli/fixtures/host.txt",
                      directory + "/root")
        self.daemon = Daemon(PROGRAM, directory, directory + "/root", policy)
        os.makedirs(self.daemon.state + "/leases")
        for lease in leases:
            with open("%s/leases/%s.json" % (self.daemon.state,
                                             lease["device"]), "wb") as f:
                f.write(json.dumps(lease, ensure_ascii=False).encode(
                    errors="surrogateescape"))

    def __enter__(self):
        return self.daemon.start()

    def __exit__(self, *_):
        if self.daemon.process.poll() is None:
            self.daemon.process.kill()
            self.daemon.process.wait()
        self.temporary.cleanup()


def started(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        return int(f.read().rsplit(")", 1)[1].split()[19])


def lease_of(pid, **more):
    """What a daemon writes down; of a process that lives."""
    return dict({"device": DEV, "group": 1, "user": os.getuid(),
                 "process": pid, "started": started(pid), "command": "vmm",
                 "since": 1, "attached": False, "ioas": None,
                 "node": "/dev/vfio/devices/vfio0"}, **more)


def as_user(uid, function):
    """What function() says in a process of another user."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            text = function()
        except BaseException as error:  # pylint: disable=broad-except
            text = repr(error)
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as f:
        text = f.read()
    os.waitpid(pid, 0)
    return text


def test_names():
    """A process is called what it likes to be called."""
    name = "a\n\x1b]0;b\udcff)\u00e9"
    with Place({}, [lease_of(os.getpid(), command=name)]) as daemon:
        leases = daemon.call("ListLeases")["leases"]
        ok([lease["command"] for lease in leases] == ["a??]0;b?)??"],
           "names of processes: printable ASCII", leases)
        error = daemon.error("ListDevices", device="x" + "\u00e9" * 600)
        ok(error.short == "NotFound" and error.message.endswith("\u00e9?"),
           "a sentence that is cut in a character is still UTF-8",
           error.message[-9:])
        error = daemon.error("Bind", devices=[DEV], driver="../vfio-pci")
        ok(error.parameters == {"parameter": "driver"},
           "a driver is no path", error)


def test_regions():
    policy = {"devices": {"edu": {"match": {"address": DEV}, "ioas": "p"}},
              "ioases": {"p": {"regions": ring(0, 32)}}}
    with Place(policy) as daemon:
        client = daemon.client()
        got = client.call("OpenIoas", name="p")["regions"]
        ok(len(got) == len(client.take_fds()) == 32,
           "an IOAS has up to 32 regions", got)
        client.close()
        error = daemon.error("Acquire", devices=[DEV])
        ok(error.short == "Failed" and daemon.call("GetStatus"),
           "which a child gets all", error)
        policy["ioases"]["p"]["regions"] = ring(0, 80)
        daemon.write_policy(policy)
        error = daemon.error("Reload")
        ok(error.short == "InvalidPolicy" and
           error.parameters["errors"][0]["key"] == "ioases.p.regions.r32" and
           "at most 32" in error.parameters["errors"][0]["message"],
           "and no more", error)


def test_restart_in_use():
    """Regions that are in use are the same after a restart."""
    policy = {"devices": {"edu": {"match": {"address": DEV}, "ioas": "p"}},
              "ioases": {"p": {"regions": ring(0x100000, 1)}}}
    place = Place(policy, [lease_of(os.getpid(), ioas="p")])
    memory = os.memfd_create("r0")
    os.ftruncate(memory, REGION)
    command = ["sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\"", PROGRAM,
               "--config", place.daemon.config, "--state",
               place.daemon.state, "--root", place.daemon.root,
               "--socket", place.daemon.socket]

    def prepare():
        die_with_us()
        os.dup2(os.dup(memory), 3, inheritable=True)

    with open(place.daemon.log, "ab") as log:
        place.daemon.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            close_fds=False, preexec_fn=prepare,
            env=dict(os.environ, LISTEN_FDS="1", LISTEN_FDNAMES="region.p.r0"))
    try:
        wait_until(lambda: answers(place.daemon.socket))
        ioas = place.daemon.call("ListIoases")["ioases"][0]
        ok(ioas["devices"] == [DEV] and ioas["regions"] == [
            {"name": "r0", "iova": "0x100000", "size": REGION, "read": True,
             "write": True}], "a restart knows regions that are in use", ioas)
    finally:
        place.__exit__()


def test_waiting():
    """Who waits for a device is asked again when it is free."""
    if not ROOT:
        ok(True, "a right that is taken away # SKIP not root")
        return
    policy = {"devices": {"edu": {"match": {"address": DEV},
                                  "users": ["12345"]}}}
    holder = subprocess.Popen(["sleep", "60"], preexec_fn=die_with_us)
    with Place(policy, [lease_of(holder.pid)]) as daemon:
        def wait():
            try:
                daemon.call("Acquire", devices=[DEV], wait=30000)
            except Error as error:
                return error.short
            return "acquired"

        def change():
            time.sleep(0.5)
            policy["devices"]["edu"]["users"] = ["2"]
            daemon.write_policy(policy)
            daemon.call("Reload")
            os.kill(holder.pid, signal.SIGKILL)

        changer = os.fork()
        if not changer:
            try:
                change()
            finally:
                os._exit(0)
        said = as_user(12345, wait)
        os.waitpid(changer, 0)
        ok(said == "PermissionDenied", "a right that is taken away while its "
           "owner waits is not used", said)
    holder.kill()
    holder.wait()


def test_gone():
    """Who has gone while it waited counts for nothing."""
    if not ROOT:
        ok(True, "who has gone # SKIP not root")
        return
    policy = {"devices": {"edu": {"match": {"address": DEV},
                                  "users": ["12345"]}},
              "limits": {"12345": {"devices": 1}}}
    holder = subprocess.Popen(["sleep", "60"], preexec_fn=die_with_us)
    with Place(policy, [lease_of(holder.pid)]) as daemon:
        first = daemon.client()
        first.send("Acquire", {"devices": [DEV], "wait": 60000})
        second = connect_as(daemon, 12345)
        second.send("Acquire", {"devices": [DEV], "wait": 60000})
        said = []

        def again():
            client = connect_as(daemon, 12345)
            try:
                client.call("Acquire", devices=[DEV])
            except Error as error:
                said.append(error.short)
            client.close()
            return said[-1]

        # The daemon may read what comes later on another connection first.
        ok(wait_until(lambda: again() == "LimitReached") is not None,
           "who waits counts against the limit", said[-3:])
        second.close()
        ok(wait_until(lambda: again() == "Busy") is not None,
           "but not when its client has gone", said[-3:])
        first.close()
        first = daemon.client()
        first.send("Acquire", {"devices": [DEV], "wait": 60000})
        daemon.write_policy({"ioases": {"pool": {"regions": ring(0, 1)}},
                             "devices": {"edu": {"match": {"address": DEV},
                                                 "ioas": "pool"}}})
        daemon.call("Reload")
        holder.kill()
        holder.wait()
        try:
            first.reply()
            regions = None
        except Error as error:
            regions = error.message
        ok(regions == "no IOAS can be created", "and what a reload said "
           "meanwhile is heeded", regions)
        first.close()


def test_connections():
    if not ROOT:
        ok(True, "connections # SKIP not root")
        return
    with Place({"settings": {"connections": 5,
                             "connections_per_user": 2}}) as daemon:
        # Those before it are closed, but perhaps not yet for the daemon.
        keeper = daemon.client()
        wait_until(lambda: keeper.call("GetStatus")["connections"] == 1)
        people = []
        reader, writer = os.pipe()

        def stay(uid):
            os.setresuid(uid, uid, uid)
            clients = [daemon.client() for _ in range(2)]
            for client in clients:
                client.call("GetStatus")
            os.write(writer, b"x")
            time.sleep(60)

        for uid in (1001, 1002):
            people.append(os.fork())
            if not people[-1]:
                try:
                    stay(uid)
                finally:
                    os._exit(0)
        os.close(writer)
        for _ in people:
            os.read(reader, 1)
        os.close(reader)

        def try_it():
            try:
                return "%d" % daemon.call("GetStatus")["connections"]
            except (EOFError, OSError):
                return "no"

        ok(as_user(1003, try_it) == "no", "users can take all connections")
        ok(try_it() == "6", "and root gets in")
        keeper.close()
        for pid in people:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def connect_as(daemon, uid):
    os.seteuid(uid)
    try:
        return daemon.client()
    finally:
        os.seteuid(0)


def test_turns():
    """One user with many connections, and one with a single one."""
    if not ROOT:
        ok(True, "turns # SKIP not root")
        return
    ask = b'{"method":"org.granule.iommud.GetStatus"}\0'
    reload = b'{"method":"org.granule.iommud.Reload"}\0'
    with Place({}) as daemon:
        crowd = [connect_as(daemon, 1001) for _ in range(60)]
        single = daemon.client()
        for client in crowd + [single]:
            client.call("GetStatus")
        daemon.write_policy({"devices": {"a": {"match": {"address": DEV}}}})
        # All is asked at once, no more than sockets take without a reader.
        daemon.process.send_signal(signal.SIGSTOP)
        for client in crowd:
            client.sock.sendall(ask * 80)
        single.sock.sendall(ask * 49 + reload)
        daemon.process.send_signal(signal.SIGCONT)
        for _ in range(50):
            single.reply()
        # Replies tell if they are from before the last of the 50 or after it.
        served = sum(not client.reply()["definitions"]
                     for client in crowd for _ in range(80))
        ok(0 < served < 2400, "50 calls of one connection wait for %d of the "
           "4800 that 60 connections of another user have sent" % served)
        for client in crowd + [single]:
            client.close()


def main():
    test_names()
    test_turns()
    test_regions()
    test_restart_in_use()
    test_waiting()
    test_gone()
    test_connections()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
