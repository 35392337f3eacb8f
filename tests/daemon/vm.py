#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""iommud with the real modules and a real device: hand-off, DMA, the end.

    iommud (root) --- policy: edu for user nobody
      |  SCM_RIGHTS
    client (nobody) --- iommufd + edu, bound and attached --- DMA

Run inside the VM, as root: tools/vm -- tests/daemon/vm.py [IOMMUD [TEST...]].
Prints TAP.
"""

import errno
import fcntl
import functools
import glob
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../e2e", HERE + "/.."]
import edu_dma  # noqa: E402
from harness import (Client, Daemon, Error, bind_errno, forbid,  # noqa: E402
                     vfio_bind, wait_until)
from tap import Tap  # noqa: E402

EDU = "0000:00:10.0"
NOBODY, STRANGER = 65534, 12345
STATS = "/sys/class/misc/iommu/stats/"
CAP_NET_ADMIN, CAP_SYS_RESOURCE = 1 << 12, 1 << 24
KEPT = CAP_NET_ADMIN | CAP_SYS_RESOURCE

IOAS_ALLOC, IOAS_MAP = 0x3B81, 0x3B85
VFIO_ATTACH, VFIO_DETACH = 0x3B77, 0x3B78
FIXED, WRITE, READ = 1, 2, 4
PR_SET_NAME = 15
IOVA, SIZE = 0x1000000, 65536
# For single events: the machine that runs this one may be busy. That a device
# is free within a second is judged by the faster ones of many.
SOON = 60
# What Debian's kernels have, and ours for debugging need not.
LAST_PID = "/proc/sys/kernel/ns_last_pid"
SECCOMP = "/proc/sys/kernel/seccomp"

POLICY = {
    "devices": {
        "edu": {"match": {"address": EDU}, "users": ["nobody"],
                "start": "boot"},
    },
    "limits": {"nobody": {"memlock": "1M"}},
}
POOL = {
    "devices": {
        "edu": {"match": {"address": EDU}, "users": ["nobody"],
                "ioas": "pool"},
    },
    "ioases": {
        "pool": {"regions": {"ring": {"size": SIZE, "iova": hex(IOVA)}},
                 "users": ["nobody"]},
    },
}

# All of the machine's: EDU, and two that are one group (PORT in tests/run.py).
EDUS = {"devices": {"edus": {"match": {"vendor": "0x1234",
                                       "device": "0x11e8"},
                             "users": ["nobody"]}},
        "limits": POLICY["limits"]}


def stats():
    return {os.path.basename(f): int(open(f, encoding="ascii").read())
            for f in glob.glob(STATS + "*")}


def nothing_left():
    return not any(stats().values())


def driver():
    try:
        return os.path.basename(os.readlink(
            "/sys/bus/pci/devices/%s/driver" % EDU))
    except OSError:
        return None


def map_memory(iommufd, ioas, memory):
    address = struct.unpack("<Q", struct.pack("<Q", edu_dma.ctypes.addressof(
        edu_dma.ctypes.c_char.from_buffer(memory))))[0]
    fcntl.ioctl(iommufd, IOAS_MAP, struct.pack(
        "<IIIIQQQ", 40, FIXED | WRITE | READ, ioas, 0, address, SIZE, IOVA))


def dma_works(device, memory, iova=IOVA):
    """A pattern out of the first page and into the last."""
    edu = edu_dma.Edu(device)
    pattern = os.urandom(edu_dma.SIZE)
    memory[:edu_dma.SIZE] = pattern
    memory[-edu_dma.SIZE:] = bytes(edu_dma.SIZE)
    edu.dma(iova, edu_dma.BUFFER, 0)
    edu.dma(edu_dma.BUFFER, iova + SIZE - edu_dma.SIZE, edu_dma.TO_RAM)
    return memory[-edu_dma.SIZE:] == pattern


class User:
    """A process of another user that runs function(pipe) and says so."""

    def __init__(self, uid, function, *args):
        self.reader, writer = os.pipe()
        self.reader2, self.writer = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(writer)
            self.file = os.fdopen(self.reader, "r")
            return
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            self.out = os.fdopen(writer, "w")
            self.say(function(self, *args))
        except BaseException as error:  # pylint: disable=broad-except
            self.say("%s: %s" % (type(error).__name__, error))
        os._exit(0)

    def say(self, what):
        self.out.write("%s\n" % (what,))
        self.out.flush()

    def wait(self):
        """In the child: until the parent says go on."""
        os.read(self.reader2, 1)

    def hear(self):
        return self.file.readline().strip()

    def go_on(self):
        os.write(self.writer, b"x")

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def end(self):
        os.waitpid(self.pid, 0)


def use(user, path):
    """Acquire edu, map, do DMA, as often as the parent wants."""
    edu_dma.ctypes.CDLL(None).prctl(PR_SET_NAME, b"v\n)\x1b\xff")
    client = Client(path)
    reply = client.call("Acquire", devices=[EDU])
    fds = client.take_fds()
    device = reply["devices"][0]
    memory = mmap.mmap(-1, SIZE)
    map_memory(fds[reply["iommufd"]], device["ioas_id"], memory)
    while True:
        user.say("dma" if dma_works(fds[device["fd"]], memory) else "WRONG")
        user.wait()


def try_acquire(_, path, **parameters):
    client = Client(path)
    try:
        client.call("Acquire", devices=[EDU], **parameters)
    except Error as error:
        return "%s: %s" % (error.short, error.message)
    return "acquired"


def use_opened(user, path):
    """As QEMU does with fd=: bind and attach by oneself."""
    client = Client(path)
    reply = client.call("Acquire", devices=[EDU], attach=False)
    fds = client.take_fds()
    client.close()
    iommufd, device = fds[reply["iommufd"]], fds[reply["devices"][0]["fd"]]
    user.say("opened")
    user.wait()
    vfio_bind(device, iommufd)
    buf = bytearray(struct.pack("<III", 12, 0, 0))
    fcntl.ioctl(iommufd, IOAS_ALLOC, buf)
    ioas = struct.unpack("<III", buf)[2]
    fcntl.ioctl(device, VFIO_ATTACH, bytearray(struct.pack(
        "<III", 12, 0, ioas)))
    memory = mmap.mmap(-1, SIZE)
    map_memory(iommufd, ioas, memory)
    user.say("dma" if dma_works(device, memory) else "WRONG")
    user.wait()


def use_pool(user, path):
    client = Client(path)
    reply = client.call("Acquire", devices=[EDU])
    fds = client.take_fds()
    region = reply["regions"][0]
    memory = mmap.mmap(fds[region["fd"]], region["size"])
    good = dma_works(fds[reply["devices"][0]["fd"]], memory)
    user.say("dma" if good and reply["iommufd"] is None else "WRONG")
    user.wait()


def read_pool(_, path):
    client = Client(path)
    reply = client.call("OpenIoas", name="pool")
    memory = mmap.mmap(client.take_fds()[0], reply["regions"][0]["size"])
    return memory[:16].hex()


def acquire_as_orphan(user, path):
    """The process that has connected ends; its child goes on."""
    client = Client(path)
    client.call("GetStatus")
    if os.fork():
        os._exit(0)
    user.wait()
    try:
        client.call("Acquire", devices=[EDU])
    except Error as error:
        return error.message
    return "acquired"


def lacks(tap, path, what):
    if os.path.exists(path):
        return False
    tap.skip(what, "this kernel has no " + path)
    return True


def test_orphan(tap, daemon):
    if lacks(tap, LAST_PID, "the next process with a PID"):
        return
    user = User(NOBODY, acquire_as_orphan, daemon.socket)
    user.end()
    victim = None
    for _ in range(100):
        with open(LAST_PID, "w", encoding="ascii") as f:
            f.write(str(user.pid - 1))
        victim = subprocess.Popen(["sleep", "60"])
        if victim.pid == user.pid:
            break
        victim.kill()
        victim.wait()
    before = resource.prlimit(victim.pid, resource.RLIMIT_MEMLOCK)
    user.go_on()
    said = user.hear()
    tap.ok(victim.pid == user.pid and "No such process" in said and
           resource.prlimit(victim.pid, resource.RLIMIT_MEMLOCK) == before,
           "the next process with the PID of who has connected is not it",
           "%s %s %s" % (said, victim.pid, user.pid))
    victim.kill()
    victim.wait()


def test_greedy(tap, daemon):
    """Descriptors that one user does not receive count as the daemon's."""
    daemon.write_policy(dict(POLICY, ioases={"many": {
        "users": ["nobody"], "regions": {
            "r%d" % i: {"size": 4096, "iova": hex(i << 12)}
            for i in range(32)}}}))
    daemon.call("Reload")
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, before[1]))
    greedy = daemon.client()
    for _ in range(100):
        greedy.send("OpenIoas", {"name": "many"})
    time.sleep(0.5)
    try:
        client = daemon.client()
        client.call("OpenIoas", name="many")
        got = len(client.take_fds())
        client.close()
    except (EOFError, OSError) as error:
        got = error
    tap.ok(got == 32, "a user that does not receive its files keeps nobody "
           "from theirs", got)
    try:
        client = daemon.client()
        client.call("Acquire", devices=[EDU])
        got = len(client.fds)
        client.close()
    except (Error, EOFError, OSError) as error:
        got = error
    tap.ok(got == 2, "nor from devices", got)
    wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)
    greedy.close()
    tap.ok(daemon.status("CapEff") == "0" * 16,
           "and no capability stays in effect")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    daemon.write_policy(POLICY)
    daemon.call("Reload")


def test_privileges(tap, daemon):
    want = "%016x" % KEPT
    got = [daemon.status("Cap" + k) for k in ("Eff", "Prm", "Bnd", "Inh",
                                              "Amb")]
    zero = "0" * 16
    tap.ok(got == [zero, want, want, zero, zero] and
           daemon.status("NoNewPrivs") == "1",
           "capabilities: none in effect, two permitted and "
           "bounding", got)


def test_hand_off(tap, daemon):
    user = User(NOBODY, use, daemon.socket)
    tap.ok(user.hear() == "dma", "an unprivileged owner acquires edu, maps, "
           "and it does DMA", daemon.read_log())
    leases = daemon.call("ListLeases")["leases"]
    tap.ok(len(leases) == 1 and leases[0]["device"] == EDU and
           leases[0]["user"] == NOBODY and leases[0]["process"] == user.pid
           and leases[0]["connected"] and leases[0]["command"] == "v?)??",
           "the lease names who has it, in printable ASCII", leases)
    with open("/proc/%d/limits" % user.pid, encoding="ascii") as f:
        limits = [line for line in f if line.startswith("Max locked")][0]
    tap.ok(limits.split()[3:5] == [str(1 << 20)] * 2,
           "its limit on locked memory is the policy's", limits)
    other = User(STRANGER, try_acquire, daemon.socket)
    said = other.hear()
    tap.ok(said.startswith("PermissionDenied: user 12345 may not acquire " +
                           EDU), "another user is refused with a sentence",
           said)
    other.end()
    other = User(NOBODY, try_acquire, daemon.socket)
    said = other.hear()
    tap.ok(said.startswith("Busy: %s is in use: process %d" % (EDU, user.pid)),
           "a second one hears who has it", said)
    other.end()
    error = daemon.error("Unbind", devices=[EDU])
    tap.ok(error.short == "Busy", "unbinding it meanwhile is refused", error)
    user.go_on()
    tap.ok(user.hear() == "dma", "and the holder's DMA goes on")

    user.kill()
    took = wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)
    tap.ok(took is not None, "SIGKILL: the lease has ended (%s s)" % took)
    tap.ok(nothing_left(), "and nothing is left", stats())


def test_restart(tap, daemon):
    user = User(NOBODY, use, daemon.socket)
    tap.ok(user.hear() == "dma", "acquired again")
    daemon.stop(signal.SIGKILL)
    user.go_on()
    tap.ok(user.hear() == "dma", "kill -9 of the daemon: DMA goes on")
    daemon.start()
    leases = daemon.call("ListLeases")["leases"]
    tap.ok(len(leases) == 1 and leases[0]["process"] == user.pid and
           not leases[0]["connected"], "the restarted daemon knows the lease",
           leases)
    time.sleep(0.5)
    tap.ok(len(daemon.call("ListLeases")["leases"]) == 1,
           "and keeps it while the device is in use")
    user.go_on()
    tap.ok(user.hear() == "dma", "DMA still goes on")
    user.kill()
    took = wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)
    tap.ok(took is not None, "the lease ends with its process (%s s)" % took,
           daemon.read_log())


def test_not_received(tap, daemon):
    for _ in range(5):
        client = daemon.client()
        client.send("Acquire", {"devices": [EDU], "wait": 2000})
        client.close()

    def over():
        """For those, too, that the daemon had not read before."""
        status = daemon.call("GetStatus")
        return not status["jobs"] and status["connections"] <= 1 and \
            not daemon.call("ListLeases")["leases"] and nothing_left()

    took = wait_until(over)
    tap.ok(took is not None, "clients that do not take the reply get nothing, "
           "and leave nothing", "%s\n%s" % (stats(), daemon.read_log()))


def test_opened(tap, daemon):
    user = User(NOBODY, use_opened, daemon.socket)
    tap.ok(user.hear() == "opened", "acquired without attaching")
    wait_until(lambda: not any(
        lease["connected"] for lease in daemon.call("ListLeases")["leases"]))
    time.sleep(0.3)
    leases = daemon.call("ListLeases")["leases"]
    tap.ok(len(leases) == 1 and not leases[0]["attached"] and
           not leases[0]["connected"], "the lease outlives the connection",
           leases)
    other = User(NOBODY, try_acquire, daemon.socket)
    said = other.hear()
    tap.ok(said.startswith("Busy: %s is in use: process %d" % (EDU, user.pid)),
           "nobody takes it before its holder has bound it", said)
    other.end()
    user.go_on()
    said = user.hear()
    tap.ok(said == "dma", "binding and attaching by oneself: DMA works", said)
    error = daemon.error("Release", devices=[EDU])
    tap.ok(error.short == "Busy", "it cannot be released while open", error)
    user.go_on()
    user.hear()
    user.end()
    took = wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)
    tap.ok(took is not None, "the lease ends with the process")


def take_back(daemon, tap):
    """Handed over unbound, kept, and released."""
    client = daemon.client()
    client.call("Acquire", devices=[EDU], attach=False)
    iommufd, old = client.take_fds()
    client.call("Release", devices=[EDU])
    tap.ok(not daemon.call("ListLeases")["leases"], "a file that was never "
           "bound does not keep its device from Release")
    client.close()
    return iommufd, old


def test_taken_back(tap, daemon):
    iommufd, old = take_back(daemon, tap)
    tap.ok(bind_errno(old, iommufd) == errno.ESTALE,
           "and who keeps it cannot bind it any more")
    user = User(NOBODY, use, daemon.socket)
    tap.ok(user.hear() == "dma", "the next user does DMA", daemon.read_log())
    tap.ok(bind_errno(old, iommufd) == errno.ESTALE, "not now")
    user.kill()
    wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)
    tap.ok(bind_errno(old, iommufd) == errno.ESTALE, "nor after it")
    daemon.call("Unbind", devices=[EDU])
    tap.ok(driver() is None, "and does not keep the driver from going")
    daemon.call("Bind", devices=[EDU])
    tap.ok(bind_errno(old, iommufd) == errno.ESTALE and
           driver() == "vfio-pci", "nor is it of use when that is back")
    os.close(iommufd)
    os.close(old)


PIDFD_OPEN = 434


def test_unwatched(tap, daemon):
    """A process whose end nobody would tell."""
    if lacks(tap, SECCOMP, "who cannot be watched"):
        return
    blind = Daemon(daemon.program, daemon.state + "/blind", policy=POLICY)
    no_pidfd = functools.partial(forbid, PIDFD_OPEN, errno.EPERM)
    blind.start(preexec=no_pidfd)
    for attach in True, False:
        error = blind.error("Acquire", devices=[EDU], attach=attach)
        tap.ok("cannot be watched" in error.message and
               not blind.call("ListLeases")["leases"] and nothing_left(),
               "who cannot be watched is not handed a device, attach %s"
               % attach, "%s %s" % (error, stats()))
    blind.stop()
    blind.start()
    user = User(NOBODY, use_opened, blind.socket)
    tap.ok(user.hear() == "opened", "acquired from one that can watch")
    blind.stop(signal.SIGKILL)
    blind.start(preexec=no_pidfd)
    time.sleep(0.3)
    leases = blind.call("ListLeases")["leases"]
    tap.ok(len(leases) == 1 and leases[0]["running"], "one that cannot, after "
           "a restart, keeps the lease", leases)
    error = blind.error("Acquire", devices=[EDU])
    tap.ok(error.short == "Busy", "and the device", error)
    blind.stop()
    blind.start()
    user.kill()
    took = wait_until(lambda: not blind.call("ListLeases")["leases"], SOON)
    tap.ok(took is not None, "until its process ends")
    blind.stop()


def test_cycles(tap, daemon):
    before = None
    times = []
    for i in range(20):
        user = User(NOBODY, use, daemon.socket)
        if user.hear() != "dma":
            tap.ok(False, "cycle %d" % i, daemon.read_log())
            return
        user.kill()
        took = wait_until(lambda: nothing_left() and
                          not daemon.call("ListLeases")["leases"], SOON)
        times.append(took if took is not None else 99)
        if i == 2:
            before = daemon.fds()
    times.sort()
    tap.ok(times[5] < 1 and times[-1] < SOON, "20 cycles of acquire, DMA and "
           "SIGKILL: a quarter is free after %.2f s (median %.2f s, slowest "
           "%.2f s)" % (times[5], times[10], times[-1]))
    tap.ok(nothing_left() and wait_until(lambda: daemon.fds() <= before),
           "nothing is left, in the kernel or in the daemon",
           "%s %s, %s before" % (stats(), daemon.fds(), before))


def test_pool(tap, daemon):
    daemon.write_policy(POOL)
    daemon.call("Reload")
    user = User(NOBODY, use_pool, daemon.socket)
    said = user.hear()
    tap.ok(said == "dma", "edu does DMA in the memory of a named IOAS", said)
    reader = User(NOBODY, read_pool, daemon.socket)
    first = reader.hear()
    reader.end()
    tap.ok(len(first) == 32 and first != "0" * 32,
           "another process opens the same memory", first)
    reader = User(STRANGER, read_pool, daemon.socket)
    said = reader.hear()
    reader.end()
    tap.ok("PermissionDenied" in said, "but not one of another user", said)
    user.kill()
    took = wait_until(lambda: nothing_left() and
                      not daemon.call("ListLeases")["leases"], SOON)
    tap.ok(took is not None, "without devices nothing is mapped or pinned",
           stats())
    reader = User(NOBODY, read_pool, daemon.socket)
    tap.ok(reader.hear() == first, "the memory keeps its bytes")
    reader.end()
    user = User(NOBODY, use_pool, daemon.socket)
    tap.ok(user.hear() == "dma", "and is there for the next device")
    user.kill()


def detach_pool(user, path):
    """Leave the IOAS by oneself, and keep the device for a while."""
    client = Client(path)
    reply = client.call("Acquire", devices=[EDU])
    fds = client.take_fds()
    fcntl.ioctl(fds[reply["devices"][0]["fd"]], VFIO_DETACH,
                struct.pack("<II", 8, 0))
    user.say("detached")
    user.wait()


def test_pool_handed_on(tap, daemon):
    """The daemon holds the IOAS all the time, and its last device leaves."""
    for function, said in (use_pool, "dma"), (detach_pool, "detached"):
        wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)
        user = User(NOBODY, function, daemon.socket)
        got = [user.hear()]
        after = Client(daemon.socket)
        after.send("Acquire", {"devices": [EDU], "wait": 60000})
        time.sleep(0.5)
        got.append(stats()["pinned_bytes"] > 0)
        user.kill()
        try:
            reply = after.reply()
            fds = after.take_fds()
            memory = mmap.mmap(fds[reply["regions"][0]["fd"]], SIZE)
            got.append(dma_works(fds[reply["devices"][0]["fd"]], memory))
            for fd in fds:
                os.close(fd)
        except (Error, OSError) as error:
            got.append(error)
        after.close()
        tap.ok(got == [said, function is use_pool, True], "who waits for a "
               "device of a named IOAS does DMA there when the last one has "
               "gone (%s)" % said, got)


EXTRA = 0x2000000


def use_edited(user, path):
    """DMA in the region of before, and in one that comes and goes."""
    client = Client(path)
    reply = client.call("Acquire", devices=[EDU])
    fds = client.take_fds()
    device = fds[reply["devices"][0]["fd"]]
    memory = mmap.mmap(fds[reply["regions"][0]["fd"]], SIZE)
    user.say("dma" if dma_works(device, memory) else "WRONG")
    user.wait()
    regions = {r["name"]: r for r in client.call("OpenIoas", name="live")
               ["regions"]}
    extra = mmap.mmap(client.take_fds()[regions["extra"]["fd"]], SIZE)
    while True:
        user.say("%s %s" % (dma_works(device, memory),
                            dma_works(device, extra, EXTRA)))
        user.wait()


def test_edit(tap, daemon):
    """Map and Unmap while a device is attached."""
    daemon.write_policy({})
    daemon.call("Reload")
    rule = dict(POOL["devices"]["edu"], ioas="live")
    daemon.call("Define", kind="ioas", name="live", definition={
        "regions": {"ring": {"size": SIZE, "iova": hex(IOVA)}},
        "users": ["nobody"]})
    daemon.write_policy({"devices": {"edu": rule}})
    daemon.call("Reload")

    def regions():
        return sorted((r["name"], r["iova"]) for r in
                      daemon.call("ListIoases")["ioases"][0]["regions"])

    def defined():
        return sorted(daemon.call("ListDefinitions")["definitions"][1]
                      ["definition"]["regions"])

    ioas = daemon.call("ListIoases")["ioases"][0]
    tap.ok(ioas["granule"] is None and ioas["iova_ranges"] is None,
           "without a device, nothing limits a named IOAS", ioas)
    wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)
    user = User(NOBODY, use_edited, daemon.socket)
    said = [user.hear()]
    ioas = daemon.call("ListIoases")["ioases"][0]
    tap.ok(ioas["granule"] == 4096 and any(
        int(r["start"], 16) <= IOVA <= int(r["last"], 16)
        for r in ioas["iova_ranges"]) and not any(
            int(r["start"], 16) <= 0xfee00000 <= int(r["last"], 16)
            for r in ioas["iova_ranges"]),
        "with one, the daemon says which IOVAs can be used", ioas)
    new = {"size": SIZE, "iova": hex(EXTRA)}
    for name, bad, word in (
            ("a reserved region", {"size": SIZE, "iova": "0xfee00000"},
             "reserved"), ("an overlap", dict(new, iova=hex(IOVA)),
                           "overlaps")):
        try:
            daemon.call("Map", ioas="live", regions={"extra": new, "x": bad})
            tap.ok(False, name + " was mapped")
        except Error as error:
            text = str(error.parameters)
            tap.ok(word in text and regions() == [("ring", hex(IOVA))] and
                   defined() == ["ring"], name + " is refused in a sentence, "
                   "and nothing of the call is left", text)
    before = stats()["pinned_bytes"]
    daemon.call("Map", ioas="live", regions={"extra": new})
    after = stats()["pinned_bytes"]
    tap.ok(after == before + SIZE and defined() == ["extra", "ring"],
           "a region is mapped while a device is attached, and is in the "
           "definition", (before, after, defined()))
    user.go_on()
    said.append(user.hear())
    daemon.stop(signal.SIGKILL)
    daemon.start()
    user.go_on()
    said.append(user.hear())
    tap.ok(said == ["dma", "True True", "True True"], "the device reaches it "
           "at once, also when the daemon has died", said)
    user.kill()
    wait_until(lambda: nothing_left() and
               not daemon.call("ListLeases")["leases"], SOON)
    user = User(NOBODY, use_edited, daemon.socket)
    said = [user.hear()]
    user.go_on()
    said.append(user.hear())
    try:
        daemon.call("Undefine", kind="ioas", name="live")
        tap.ok(False, "an IOAS of a device's rule was undefined")
    except Error as error:
        tap.ok(error.short == "InvalidPolicy", "what a rule names cannot be "
               "undefined", error)
    daemon.call("Unmap", ioas="live", regions=["extra"])
    left = stats()["pinned_bytes"], regions(), defined()
    user.go_on()
    said.append(user.hear())
    tap.ok(said == ["dma", "True True", "True False"] and
           left == (SIZE, [("ring", hex(IOVA))], ["ring"]),
           "Unmap: its DMA is refused from then on, and that to the other "
           "goes on", (said, left))
    user.kill()
    took = wait_until(lambda: nothing_left() and
                      not daemon.call("ListLeases")["leases"], SOON)
    tap.ok(took is not None, "and nothing is left", stats())
    daemon.write_policy({})
    daemon.call("Undefine", kind="ioas", name="live")


def open_files(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def limit_files(pid, soft):
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors(tap, daemon):
    """At each number of descriptors that is too low: an error, or all of it."""
    pid = daemon.process.pid
    client = Client(daemon.socket)
    client.call("GetStatus")
    before = open_files(pid)
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for method, wanted in (("Acquire", 2), ("OpenIoas", 1)):
        ends, left = [], []
        # The highest one that is open need not be the last.
        for soft in range(8, before + 24):
            limit_files(pid, soft)
            try:
                reply = client.call(method, **(
                    {"devices": [EDU], "wait": 0} if method == "Acquire"
                    else {"name": "pool"}))
                fds = client.take_fds()
                ends.append(len(fds) if reply["regions"] else "incomplete")
                for fd in fds:
                    os.close(fd)
            except Error as error:
                ends.append(error.short)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            # Another connection would be a file of the daemon's, too.
            took = wait_until(lambda: nothing_left() and not client.call(
                "ListLeases")["leases"] and open_files(pid) <= before, SOON)
            if took is None:
                left.append((soft, stats(), open_files(pid)))
        kinds = set(ends)
        tap.ok(wanted in kinds and "incomplete" not in kinds and
               kinds - {wanted} and not left,
               "%s of a daemon that is short of descriptors: all or none, and "
               "nothing is left (%d limits: %s)" % (method, len(ends), kinds),
               (ends, left))
    client.close()
    # The client is libiommu: files it has no room for are dropped.
    ends, left = [], []
    for soft in range(3, 24):
        done = subprocess.run(
            ["prlimit", "--nofile=%d" % soft, "iommuctl", "run", "--attach",
             EDU, "--", "/bin/true"], capture_output=True, text=True,
            env=dict(os.environ, IOMMUD_SOCKET=daemon.socket), timeout=300,
            check=False)
        ends.append(done.returncode)
        if done.returncode and not done.stderr:
            left.append((soft, "says nothing"))
        if wait_until(lambda: nothing_left() and not daemon.call(
                "ListLeases")["leases"], SOON) is None:
            left.append((soft, stats()))
    tap.ok(ends[-1] == 0 and ends[0] != 0 and not left, "a client that is "
           "short of descriptors: an error or success, and nothing is left",
           (ends, left))


def edu_groups():
    """Devices like edu, by group."""
    groups = {}
    for path in sorted(glob.glob("/sys/bus/pci/devices/*")):
        with open(path + "/vendor", encoding="ascii") as f, \
                open(path + "/device", encoding="ascii") as g:
            if f.read() + g.read() == "0x1234\n0x11e8\n":
                groups.setdefault(os.readlink(path + "/iommu_group"),
                                  []).append(os.path.basename(path))
    return groups.values()


def acquire(client, *devices):
    """The reply, and its files."""
    reply = client.call("Acquire", devices=list(devices), wait=60000)
    return reply, client.take_fds()


def share_group(_, path, devices):
    """Two devices of a group: what is mapped once is there for both."""
    reply, fds = acquire(Client(path), *devices)
    got = reply["devices"]
    memory = mmap.mmap(-1, SIZE)
    map_memory(fds[reply["iommufd"]], got[0]["ioas_id"], memory)
    good = [dma_works(fds[d["fd"]], memory) for d in got]
    return "%d IOAS, %s" % (len({d["ioas_id"] for d in got}), good)


def share_nothing(_, path, devices):
    """Devices of two groups: each has memory of its own at the same IOVA."""
    reply, fds = acquire(Client(path), *devices)
    got = reply["devices"]
    memory = [mmap.mmap(-1, SIZE) for _ in got]
    for device, own in zip(got, memory):
        map_memory(fds[reply["iommufd"]], device["ioas_id"], own)
    good = [dma_works(fds[d["fd"]], own) for d, own in zip(got, memory)]
    return "%d IOAS, %s" % (len({d["ioas_id"] for d in got}), good)


def share_pool(_, path, devices):
    """Devices of two groups that a named IOAS makes share its memory."""
    reply, fds = acquire(Client(path), *devices)
    memory = mmap.mmap(fds[reply["regions"][0]["fd"]], SIZE)
    one, two = [edu_dma.Edu(fds[d["fd"]]) for d in reply["devices"]]
    pattern = os.urandom(edu_dma.SIZE)
    memory[:edu_dma.SIZE] = pattern
    # By the one to the middle of it, and from there by the other to its end.
    one.dma(IOVA, edu_dma.BUFFER, 0)
    one.dma(edu_dma.BUFFER, IOVA + SIZE // 2, edu_dma.TO_RAM)
    two.dma(IOVA + SIZE // 2, edu_dma.BUFFER, 0)
    two.dma(edu_dma.BUFFER, IOVA + SIZE - edu_dma.SIZE, edu_dma.TO_RAM)
    return "%d region, %s" % (len(reply["regions"]),
                              memory[-edu_dma.SIZE:] == pattern)


def try_both(_, path, devices):
    client = Client(path)
    try:
        client.call("Acquire", devices=devices, wait=500)
    except Error as error:
        return "%s: %s; %d files" % (error.short, error.message,
                                     len(client.fds))
    return "acquired"


def run_two(daemon, devices):
    """What two devices are called in the command line of iommuctl run."""
    done = subprocess.run(
        ["iommuctl", "run", "--quiet", "--attach", *devices, "--", "sh", "-c",
         "readlink /proc/self/fd/{device} /proc/self/fd/{device1}; "
         "echo {address} {address1} {id} {id1} {ioas} {ioas1}"],
        user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True,
        text=True, check=False, env=dict(os.environ,
                                         IOMMUD_SOCKET=daemon.socket))
    lines = done.stdout.split("\n")
    words = lines[-2].split() if len(lines) > 3 else []
    return (done, [os.path.basename(node) for node in lines[:2]], words)


def test_two(tap, daemon):
    """Which of two devices share what."""
    pair = [g for g in edu_groups() if len(g) == 2]
    if not pair:
        tap.skip("two devices", "no group of two: see PORT in tests/run.py")
        return
    one, two = pair[0]
    daemon.write_policy(EDUS)
    daemon.call("Reload")
    daemon.call("Bind", devices=[one, two])

    def says(function, *devices):
        user = User(NOBODY, function, daemon.socket, devices)
        said = user.hear()
        user.end()
        took = wait_until(lambda: nothing_left() and
                          not daemon.call("ListLeases")["leases"], SOON)
        return said if took is not None else "left: %s" % stats()

    said = says(share_group, one, two)
    tap.ok(said == "1 IOAS, [True, True]", "two devices of a group share an "
           "IOAS: what is mapped once, both reach", said)
    said = says(share_nothing, EDU, one)
    tap.ok(said == "2 IOAS, [True, True]", "of two groups, each has one of "
           "its own: other memory at the same address", said)

    user = User(NOBODY, use, daemon.socket)
    user.hear()
    other = User(NOBODY, try_both, daemon.socket, [one, EDU])
    said = other.hear()
    other.end()
    got = [lease["device"] for lease in daemon.call("ListLeases")["leases"]]
    tap.ok(said.startswith("Busy: " + EDU) and said.endswith(" 0 files") and
           got == [EDU] and stats()["devices"] == 1,
           "of two, one of which is in use, none is acquired",
           "%s, leased: %s, %s" % (said, got, stats()))
    user.kill()
    wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)

    nodes = {d["device"]: d["vfio"]
             for d in daemon.call("ListDevices")["devices"]}
    for devices, same in (([one, two], True), ([EDU, one], False)):
        done, links, words = run_two(daemon, devices)
        tap.ok(links == [nodes[d] for d in devices] and words[:2] == devices
               and words[2] != words[3] and (words[4] == words[5]) == same,
               "iommuctl run with two devices of %s: {device1} and its like"
               % ("a group" if same else "two groups"), done)
        wait_until(lambda: not daemon.call("ListLeases")["leases"], SOON)

    daemon.write_policy({
        "devices": {"edus": dict(EDUS["devices"]["edus"], ioas="pool")},
        "ioases": POOL["ioases"]})
    daemon.call("Reload")
    said = says(share_pool, EDU, one)
    tap.ok(said == "1 region, True", "of two groups with a named IOAS: one "
           "reads what the other one wrote", said)
    daemon.write_policy({})
    daemon.call("Reload")
    daemon.call("Unbind", devices=[one, two])
    daemon.write_policy(POLICY)
    daemon.call("Reload")


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "iommud"
    tap = Tap()
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        daemon = Daemon(program, directory, policy=POLICY).start()
        took = wait_until(lambda: driver() == "vfio-pci")
        tap.ok(took is not None, "the policy binds edu at start",
               daemon.read_log())
        wait_until(lambda: not daemon.call("GetStatus")["jobs"])
        names = sys.argv[2:]
        for test in (test_privileges, test_hand_off, test_orphan,
                     test_greedy, test_restart,
                     test_not_received, test_opened, test_taken_back,
                     test_unwatched, test_two, test_cycles, test_pool,
                     test_pool_handed_on, test_descriptors, test_edit):
            if not names or test.__name__[len("test_"):] in names:
                test(tap, daemon)
        daemon.write_policy({})
        daemon.call("Reload")
        wait_until(lambda: not daemon.call("ListLeases")["leases"])
        daemon.call("Unbind", devices=[EDU])
        tap.ok(driver() is None, "Unbind gives edu back to the host", driver())
        tap.ok(daemon.stop() == 0, "SIGTERM ends the daemon")
        if tap.failed:
            print("# " + daemon.read_log().replace("\n", "\n# "))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
