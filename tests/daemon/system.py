#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""iommud as a service of a system that systemd and udev booted.

    boot     iommud-early, udev, nvme.ko: who gets which device
    vmm      an unprivileged user's QEMU with what the policy took at boot
    service  sandbox, restart, kill -9, reload, stop, activation
    hotplug  devices that come and go, in use and not
    race     the same without the rules: the host's driver wins
    late     the modules are loaded when the daemon is there

tests/daemon/system-vm starts it in the VM. Prints TAP.
"""

import fcntl
import glob
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/..", HERE + "/../e2e",
                os.environ.get("GRANULE_CACHE", "/var/cache/granule") +
                "/varlink/python"]
import varlink  # noqa: E402
from handoff import STRANGER, iommuctl, start_vmm  # noqa: E402
from harness import INTERFACE, Client, Error, wait_until  # noqa: E402
from qmp import Qmp  # noqa: E402
from tap import Tap  # noqa: E402
from vm import (  # noqa: E402
    KEPT, NOBODY, SIZE, User, dma_works, map_memory, nothing_left,
    stats)

SOCKET = "/run/iommud/iommud.sock"
RULES = "/etc/udev/rules.d/05-iommud.rules"
PCI = "/sys/bus/pci/devices/"
EDU, TAKEN, LEFT, POOLED = ("0000:00:10.0", "0000:00:11.0", "0000:00:12.0",
                            "0000:00:13.0")
PORT, HOT = "hot0", "0000:01:00.0"
SET_IRQS, REQ_INDEX, EVENTFD_TRIGGER = 0x3B6E, 4, 4 | 32
# The machine that this one runs on may be busy.
SOON = 120

tap = Tap()
ok = tap.ok


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True,
                          check=False)
    if check and done.returncode:
        print("# %s: %s" % (" ".join(command), done.stderr.strip()))
    return done.stdout.strip()


def driver(device):
    try:
        return os.path.basename(os.readlink(PCI + device + "/driver"))
    except OSError:
        return None


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def call(method, **parameters):
    client = Client(SOCKET, timeout=SOON)
    try:
        return client.call(method, **parameters)
    finally:
        client.close()


def leases():
    return call("ListLeases")["leases"]


def main_pid():
    return int(run("systemctl", "show", "-P", "MainPID", "iommud.service"))


def journal(*matches):
    run("journalctl", "--sync", check=False)
    return run("journalctl", "-b", "-q", "-o", "cat", *matches)


class Watch:
    """A client that called Monitor, and what it was told."""

    def __init__(self):
        self.client = Client(SOCKET, timeout=SOON)
        self.client.send("Monitor", more=True)
        self.client.receive()
        self.seen = []

    def told(self, kind, device, seconds=SOON):
        """The message of such an event, now or earlier."""
        end = time.monotonic() + seconds
        self.client.sock.settimeout(0.2)
        while True:
            for event in self.seen:
                if (event["kind"], event["device"]) == (kind, device):
                    self.seen.remove(event)
                    return event["message"]
            if time.monotonic() > end:
                return None
            try:
                self.seen.append(self.client.reply()["event"])
            except TimeoutError:
                pass


def hold(user, device, obey=True, attach=True):
    """Acquire, do DMA when told to; when the kernel asks, say so, and let go
    when told to, or not."""
    client = Client(SOCKET, timeout=SOON)
    reply = client.call("Acquire", devices=[device], attach=attach,
                        wait=SOON * 1000)
    fds = client.take_fds()
    got = reply["devices"][0]
    fd = fds[got["fd"]]
    if reply["iommufd"] is None:
        region = reply["regions"][0]
        memory = mmap.mmap(fds[region["fd"]], region["size"])
    else:
        memory = mmap.mmap(-1, SIZE)
        map_memory(fds[reply["iommufd"]], got["ioas_id"], memory)
    request = os.eventfd(0)
    fcntl.ioctl(fd, SET_IRQS, struct.pack(
        "<IIIIIi", 24, EVENTFD_TRIGGER, REQ_INDEX, 0, 1, request))
    view = memoryview(memory)[:SIZE]
    user.say("dma" if dma_works(fd, view) else "WRONG")
    asked = False
    while True:
        ready = select.select([user.reader2] + [request] * (not asked),
                              [], [])[0]
        if request in ready:
            asked = True
            user.say("asked")
            if obey:
                user.wait()
                return "let go"
        if user.reader2 in ready:
            user.wait()
            user.say("dma" if dma_works(fd, view) else "WRONG")


def pass_on(user, device):
    """Acquire it, give the file to a child, and end."""
    client = Client(SOCKET, timeout=SOON)
    client.call("Acquire", devices=[device], wait=SOON * 1000)
    fds = client.take_fds()
    child = os.fork()
    if not child:
        client.sock.close()
        user.wait()
        os._exit(0)
    return "%d has %d files" % (child, len(fds))


def nodes():
    """Mode and owners of all nodes; None while there are none of devices."""
    paths = glob.glob("/dev/vfio/devices/*")
    found = [os.stat(path) for path in ["/dev/iommu", *paths]]
    return {(s.st_mode & 0o777, s.st_uid, s.st_gid)
            for s in found} if paths else None


def test_boot():
    state = run("systemctl", "is-system-running", check=False)
    ok(state == "running", "the system is up, all units are: " + state,
       run("systemctl", "--failed", "--no-pager", check=False))
    took = wait_until(lambda: driver(TAKEN) == "vfio-pci" and
                      driver(EDU) == "vfio-pci", SOON)
    ok(took is not None, "edu and an NVMe device have vfio-pci",
       journal("-u", "iommud", "-u", "iommud-early"))
    wait_until(lambda: driver(LEFT) == "nvme", SOON)
    ok(driver(LEFT) == "nvme" and wait_until(
        lambda: os.path.exists("/dev/nvme0n1"), SOON) is not None,
       "another NVMe device has nvme: udev has loaded it", driver(LEFT))
    with open("/dev/nvme0n1", "rb") as f:
        ok(len(f.read(65536)) == 65536, "and it works")
    log = run("dmesg")
    ok("pci function " + LEFT in log and "pci function " + TAKEN not in log,
       "nvme never saw the first one", log[-3000:])
    print("# " + "\n# ".join(line for line in log.splitlines()
                             if "pci function" in line))
    said = journal("-u", "iommud-early")
    ok(TAKEN + ": kept for vfio-pci" in said and LEFT not in said,
       "iommud-early kept it, before udev ran", said)
    print("# " + said.replace("\n", "\n# "))
    ok("softdep vfio_pci post: granule-vfio" in run("modprobe", "-c"),
       "whoever loads vfio-pci gets granule-vfio with it")
    group = [line.split(":") for line in open("/etc/group", encoding="utf-8")
             if line.startswith("iommu:")][0]
    # udev hears of a node when it is there already.
    ok(wait_until(lambda: nodes() == {(0o660, 0, int(group[2]))}, SOON)
       is not None, "nodes are root:iommu 0660", nodes())


def free_again():
    """Seconds until nobody has anything; None after too many for one kill."""
    return wait_until(lambda: not leases() and nothing_left(), SOON)


def test_vmm():
    vmm = start_vmm(EDU)
    ok(vmm.give_edu() and vmm.edu_does_dma(), "a user whom the policy names "
       "runs unmodified QEMU: edu, taken at boot, does DMA in its guest's RAM",
       journal("-u", "iommud", "-n", "20"))
    got = leases()
    ok(len(got) == 1 and got[0]["process"] == vmm.proc.pid and
       got[0]["user"] == NOBODY, "the lease is QEMU's own process", got)
    done = iommuctl("run", EDU, "--", "true", user=STRANGER)
    ok(done.returncode == 4 and "user %d may not acquire %s: definition 'edu'"
       % (STRANGER, EDU) in done.stderr, "another user is refused with a "
       "sentence: " + done.stderr.strip(), done)
    vmm.proc.kill()
    took = free_again()
    vmm.proc.wait()
    ok(took is not None, "SIGKILL of QEMU: the device is back (%s s)" % took,
       "%s %s" % (leases(), stats()))
    done = iommuctl("run", "--attach", TAKEN, "--", "readlink",
                    "/proc/self/fd/{device}")
    ok(done.returncode == 0 and
       done.stdout.startswith("/dev/vfio/devices/vfio"),
       "the user acquires the NVMe disk that was kept from nvme", done)
    ok(free_again() is not None and driver(TAKEN) == "vfio-pci",
       "it comes back, and stays the policy's",
       "%s %s %s" % (leases(), stats(), driver(TAKEN)))


def test_clients():
    with varlink.Client("unix:" + SOCKET) as client:
        with client.open(INTERFACE) as iommud:
            devices = {d["device"]: d for d in
                       iommud.ListDevices()["devices"]}
            ok(devices[TAKEN]["definition"] == "disk" and
               not devices[LEFT].get("definition"),
               "a stock Varlink client sees the devices")
            stock_changes(client, iommud)
    shown = run("iommuctl", "device", "list")
    ok(TAKEN in shown and "vfio-pci" in shown, "iommuctl shows them", shown)


def stock_changes(client, iommud):
    """What a stock client changes, and is told of."""
    sock = client.open_connection()
    sock.settimeout(SOON)
    watch = client.open(INTERFACE, connection=sock)
    events = watch.Monitor(_more=True)
    ok(next(events).get("event") is None, "it calls Monitor with more")
    iommud.Unbind(devices=[EDU])
    unbound = driver(EDU)
    warnings = iommud.Bind(devices=[EDU])["warnings"]
    ok(unbound is None and driver(EDU) == "vfio-pci" and len(warnings) == 1
       and EDU + " cannot be reset" in warnings[0],
       "and Unbind and Bind, which warns", "%s %s %s" % (unbound, driver(EDU), warnings))
    told = []
    while ("bound", EDU) not in told:
        event = next(events)["event"]
        told.append((event["kind"], event.get("device")))
    ok(("unbound", EDU) in told, "Monitor tells of both", told)
    watch.close()
    stopped = iommud.Stop(name="disk")["devices"]
    had = driver(TAKEN)
    started = iommud.Start(name="disk")["devices"]
    ok(stopped == started == [TAKEN] and had == "nvme" and
       driver(TAKEN) == "vfio-pci", "and Stop and Start of a definition: nvme "
       "has the disk in between", "%s %s %s %s" % (stopped, had, started,
                                                   driver(TAKEN)))


def status(pid, field):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith(field + ":"):
                return line.split()[1]
    return None


def test_sandbox():
    pid = main_pid()
    kept = "%016x" % KEPT
    got = {k: status(pid, k) for k in ("CapEff", "CapPrm", "CapBnd", "CapInh",
                                       "CapAmb", "NoNewPrivs", "Seccomp")}
    print("# " + " ".join("%s %s" % item for item in got.items()))
    ok(got == {"CapEff": "0" * 16, "CapPrm": kept, "CapBnd": kept,
               "CapInh": "0" * 16, "CapAmb": "0" * 16, "NoNewPrivs": "1",
               "Seccomp": "2"}, "the service has no capability in effect, "
       "can get no new ones, and its system calls are filtered", got)
    mounts = {}
    with open("/proc/%d/mountinfo" % pid, encoding="utf-8") as f:
        for line in f:
            words = line.split()
            mounts[words[4]] = words[5].split(",")[0]
    ok(os.readlink("/proc/%d/ns/mnt" % pid) != os.readlink("/proc/1/ns/mnt")
       and mounts["/"] == "ro" and mounts["/sys/devices"] == "rw" and
       mounts["/run/iommud"] == "rw",
       "it sees files of its own, and can write to what it has to only",
       mounts)


def test_restart():
    user = User(NOBODY, hold, EDU)
    pooled = User(NOBODY, hold, POOLED)
    heard = user.hear(), pooled.hear()
    ok(heard == ("dma", "dma"), "a device and one in a named IOAS of huge "
       "pages are acquired from within the sandbox", heard)
    client = Client(SOCKET)
    region = client.call("OpenIoas", name="pool")["regions"][0]
    memory = mmap.mmap(client.take_fds()[0], region["size"])
    memory[SIZE:SIZE + 8] = b"granule!"
    client.close()
    watch = []

    def ranges():
        return [i["iova_ranges"] for i in call("ListIoases")["ioases"]
                if i["name"] == "pool"][0]

    first = ranges()
    for how in ("kill -9", "restart"):
        before = main_pid()
        if how == "restart":
            run("systemctl", "restart", "iommud.service")
        else:
            os.kill(before, signal.SIGKILL)
        user.go_on()
        watch.append(user.hear())
        wait_until(lambda: main_pid() not in (0, before), SOON)
        got = leases()
        ok(watch[-1] == "dma" and sorted(
            (lease["device"], lease["process"]) for lease in got) ==
           [(EDU, user.pid), (POOLED, pooled.pid)],
           how + ": DMA goes on, and the next daemon knows both leases", got)
        pooled.go_on()
        ok(pooled.hear() == "dma", "DMA of the named IOAS goes on")
        client = Client(SOCKET)
        region = client.call("OpenIoas", name="pool")["regions"][0]
        other = mmap.mmap(client.take_fds()[0], region["size"])
        ok(other[SIZE:SIZE + 8] == b"granule!",
           "and its memory has kept its bytes: it is in systemd's store")
        client.close()
        took = wait_until(lambda: ranges() == first, SOON)
        ok(first and took is not None, "and the next daemon knows which IOVAs "
           "can be used", "%s %s" % (first, ranges()))
    user.kill()
    pooled.kill()
    took = wait_until(lambda: not leases() and nothing_left(), SOON)
    ok(took is not None, "both are free when their processes end",
       "%s %s" % (leases(), stats()))


def test_in_use():
    """A disk that somebody has is not taken away, but by force."""
    fd = os.open("/dev/nvme0n1", os.O_RDONLY | os.O_EXCL)
    done = iommuctl("device", "bind", "--direct", LEFT, user=0)
    ok(done.returncode == 3 and driver(LEFT) == "nvme" and
       "/dev/nvme0n1 is in use exclusively" in done.stderr,
       "a disk that is in use stays the host's", done)
    os.close(fd)
    swap = ("mkswap", "/dev/nvme0n1"), ("swapon", "/dev/nvme0n1")
    print("# swap: " + " ".join(run(*c, check=False) for c in swap))
    for options in ({}, {"force": None}, {"force": False}):
        try:
            call("Bind", devices=[LEFT], **options)
            ok(False, "the daemon took a disk that is in use")
        except Error as error:
            ok(error.short == "Busy" and driver(LEFT) == "nvme" and
               "/dev/nvme0n1 is" in error.message,
               "nor does the daemon take it: " + error.message, error)
    checks = [c for c in call("Preflight", devices=[LEFT])["checks"]
              if c["name"] == "use"]
    ok(not checks[0]["good"], "Preflight says so: " + checks[0]["message"])
    run("swapoff", "/dev/nvme0n1")
    call("Bind", devices=[LEFT])
    had = driver(LEFT)
    call("Unbind", devices=[LEFT])
    ok((had, driver(LEFT)) == ("vfio-pci", "nvme"), "afterwards it does")


def stored():
    return int(run("systemctl", "show", "-P", "NFileDescriptorStore",
                   "iommud.service"))


def test_edit():
    """What Map and Unmap change, the next daemon knows."""
    before = stored()
    made = iommuctl("ioas", "create", "live", "--region",
                    "ring=64K@0x100000", user=0)
    mapped = iommuctl("map", "live", "--region", "extra=64K@0x2000000", user=0)
    ok(not made.returncode and not mapped.returncode and
       stored() == before + 2, "memory that iommuctl maps into a named IOAS "
       "is in systemd's store", "%s %s %s" % (made, mapped, stored()))
    contents = []
    for how in ("kill -9", "restart"):
        client = Client(SOCKET)
        regions = client.call("OpenIoas", name="live")["regions"]
        fds = client.take_fds()
        for region in regions:
            memory = mmap.mmap(fds[region["fd"]], region["size"])
            contents.append((region["name"], region["iova"], memory[:5]))
            memory[:5] = b"bytes"
        client.close()
        pid = main_pid()
        if how == "restart":
            unmapped = iommuctl("unmap", "live", "ring", user=0)
            run("systemctl", "restart", "iommud.service")
        else:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: main_pid() not in (0, pid), SOON)
    ok(sorted(contents[2:]) == [("extra", "0x2000000", b"bytes"),
                                ("ring", "0x100000", b"bytes")],
       "kill -9: the next daemon has it, where it was and with its bytes",
       contents)
    got = [r["name"] for i in call("ListIoases")["ioases"]
           if i["name"] == "live" for r in i["regions"]]
    ok(not unmapped.returncode and got == ["extra"] and
       stored() == before + 1, "what was unmapped is not there after a "
       "restart", "%s %s %s" % (unmapped, got, stored()))
    gone = iommuctl("ioas", "destroy", "live", user=0)
    ok(not gone.returncode and stored() == before, "and nothing is left of "
       "it when it is destroyed", "%s %s" % (gone, stored()))


def test_passed_on():
    user = User(NOBODY, pass_on, EDU)
    child = int(user.hear().split()[0])
    user.end()
    said = journal("IOMMU_DEVICE=" + EDU)
    ok("process %d" % user.pid in said and POOLED not in said,
       "the journal can be asked by device", said)
    wait_until(lambda: not any(lease["running"] for lease in leases()), SOON)
    time.sleep(1)
    got = leases()
    ok(len(got) == 1 and got[0]["device"] == EDU and not got[0]["running"],
       "a device whose file was passed on stays leased", got)
    try:
        call("Acquire", devices=[EDU])
        ok(False, "it was given to another one")
    except Error as error:
        ok(error.short == "Busy" and "has ended, and another process" in
           error.message, "nobody else gets it: " + error.message, error)
    os.kill(child, signal.SIGKILL)
    took = wait_until(lambda: not leases(), SOON)
    ok(took is not None, "until the last copy is closed (%s s)" % took)


def test_reload():
    policy = "/etc/iommud/test.json"
    with open(policy, encoding="utf-8") as f:
        text = f.read()
    write(policy, text.replace('"disk"', '"other"'))
    run("systemctl", "reload", "iommud.service")
    took = wait_until(lambda: call("ListDevices", device=TAKEN)["devices"][0]
                      ["definition"] == "other", SOON)
    ok(took is not None, "systemctl reload: the new policy is in force")
    write(policy, text + "x")
    run("systemctl", "reload", "iommud.service")
    wait_until(lambda: call("GetStatus")["policy_errors"], SOON)
    said = run("systemctl", "show", "-P", "StatusText", "iommud.service")
    ok("test.json:" in said and driver(TAKEN) == "vfio-pci",
       "one with an error is not, and systemctl status says where: " + said)
    write(policy, text)
    run("systemctl", "reload", "iommud.service")


def idle(client):
    """Has the daemon nothing but this connection and one that watches?"""
    status = client.call("GetStatus")
    return status["connections"] == 2 and not status["jobs"]


def test_hotplug():
    qmp = Qmp()
    watch = Watch()
    counter = Client(SOCKET, timeout=SOON)
    before = None
    for obey, how in ((True, "lets go"), (False, "is stopped")):
        qmp.plug("edu", "hot", bus=PORT)
        ok(watch.told("added", HOT) is not None and
           watch.told("bound", HOT) is not None and driver(HOT) == "vfio-pci",
           "device_add: it appears and is bound, and watchers are told",
           journal("-u", "iommud", "-n", "20"))
        user = User(NOBODY, hold, HOT, obey)
        heard = user.hear()
        ok(heard == "dma", "it is acquired and does DMA", heard)
        if not obey:
            os.kill(user.pid, signal.SIGSTOP)
        qmp.call("device_del", id="hot")
        said = watch.told("requested", HOT)
        ok(said and "process %d" % user.pid in said,
           "device_del: watchers hear who has it: %s" % said)
        if obey:
            heard = user.hear()
            user.go_on()
            ok((heard, user.hear()) == ("asked", "let go"),
               "its holder is asked, and lets go")
        else:
            time.sleep(2)
            got = leases()
            ok(qmp.has("hot") and len(got) == 1 and
               got[0]["process"] == user.pid,
               "one that is stopped is waited for, and keeps its lease", got)
            os.kill(user.pid, signal.SIGCONT)
            heard = user.hear()
            user.go_on()
            ok((heard, user.hear()) == ("asked", "dma"),
               "it is asked when it goes on, and does DMA until it lets go")
            os.kill(user.pid, signal.SIGKILL)
        user.end()
        ok(watch.told("returned", HOT) is not None and
           watch.told("removed", HOT) is not None,
           "when its holder %s: the lease is over, the device is gone, and "
           "watchers are told" % how, journal("-u", "iommud", "-n", "20"))
        ok(wait_until(lambda: not qmp.has("hot"), SOON) is not None and
           not leases() and nothing_left() and not os.path.exists(PCI + HOT),
           "nothing is left", "%s %s" % (leases(), stats()))
        # Connections that are closed are files of it for a while.
        wait_until(lambda: idle(counter), SOON)
        fds = len(os.listdir("/proc/%d/fd" % main_pid()))
        before = before or fds
    ok(fds == before, "and nothing in the daemon",
       "%d, %d before" % (fds, before))
    ok(not os.listdir("/run/iommud/leases"), "nor in its directory",
       os.listdir("/run/iommud/leases"))


def test_stop():
    run("systemctl", "stop", "iommud.service")
    ok(driver(TAKEN) == "vfio-pci" and driver(EDU) == "vfio-pci",
       "systemctl stop: bindings stay")
    ok(call("GetStatus")["leases"] == 0 and main_pid() != 0,
       "the next call starts it again, by its socket")


def trigger():
    run("udevadm", "control", "--reload")
    run("udevadm", "trigger", "--action=add", "--subsystem-match=pci",
        "--settle")


def unload(*modules):
    """udev may just be reading a disk, which keeps its driver."""
    run("udevadm", "settle")
    run("modprobe", "-r", *modules)


def test_race():
    """What the rules are for: without them, nvme has them both."""
    run("systemctl", "stop", "iommud.socket", "iommud.service")
    write(PCI + TAKEN + "/driver/unbind", TAKEN)
    write(PCI + TAKEN + "/driver_override", "\n")
    unload("nvme")
    os.makedirs(os.path.dirname(RULES), exist_ok=True)
    os.symlink("/dev/null", RULES)
    trigger()
    took = wait_until(lambda: driver(TAKEN) == driver(LEFT) == "nvme", SOON)
    ok(took is not None, "without iommud-early and the rule, nvme takes it",
       driver(TAKEN))
    run("systemctl", "start", "iommud.socket", "iommud.service")
    took = wait_until(lambda: driver(TAKEN) == "vfio-pci", SOON)
    ok(took is not None, "the daemon takes it from nvme when it starts",
       journal("-u", "iommud", "-n", "20"))
    wait_until(lambda: not call("GetStatus")["jobs"], SOON)
    call("Unbind", devices=[TAKEN])
    ok(driver(TAKEN) == "nvme", "Unbind gives it back to nvme",
       driver(TAKEN))
    run("systemctl", "stop", "iommud.socket", "iommud.service")
    unload("nvme")
    os.unlink(RULES)
    run("systemctl", "restart", "iommud-early.service")
    trigger()
    took = wait_until(lambda: driver(LEFT) == "nvme", SOON)
    ok(took is not None and driver(TAKEN) is None,
       "with them, nvme takes the other one only",
       "%s %s" % (driver(TAKEN), driver(LEFT)))


def test_late():
    """What its sandbox cannot know when it starts."""
    loaders = ["modprobe@%s.service" % m
               for m in ("granule", "granule_vfio", "vfio_pci")]
    run("systemctl", "stop", "iommud.socket", "iommud.service")
    for device in (EDU, POOLED, TAKEN):
        if driver(device) == "vfio-pci":
            write(PCI + device + "/driver/unbind", device)
    run("systemctl", "mask", "--runtime", *loaders)
    unload("vfio-pci", "granule-vfio", "granule")
    run("systemctl", "start", "iommud.socket", "iommud.service")
    before = main_pid()
    ok(before and not os.path.exists("/dev/iommu") and
       os.path.exists("/run/iommud/incomplete"),
       "the daemon starts without any of the modules",
       run("lsmod") + journal("-u", "iommud", "-n", "20"))
    run("modprobe", "granule")
    run("modprobe", "vfio-pci")
    ok(wait_until(lambda: driver(EDU) == "vfio-pci" and
                  not os.path.exists("/run/iommud/incomplete"), SOON)
       is not None and main_pid() != before,
       "it is started anew when they are loaded",
       journal("-u", "iommud", "-n", "20"))
    wait_until(lambda: not call("GetStatus")["jobs"], SOON)
    user = User(NOBODY, hold, EDU)
    heard = user.hear()
    ok(heard == "dma", "and may open what they made", heard)
    user.kill()
    run("systemctl", "unmask", "--runtime", *loaders)


def main():
    tests = [test_boot, test_vmm, test_clients, test_sandbox, test_restart,
             test_in_use, test_edit, test_passed_on, test_reload, test_hotplug, test_stop, test_race,
             test_late]
    names = sys.argv[1:]
    for test in tests:
        if not names or test.__name__[len("test_"):] in names:
            begun = time.monotonic()
            test()
            print("# %s: %.1f s" % (test.__name__, time.monotonic() - begun))
    if tap.failed:
        print("# " + journal("-u", "iommud", "-u", "iommud-early")
              .replace("\n", "\n# "))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
