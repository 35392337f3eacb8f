#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What iommuctl ps and monitor show of two VMMs and of a DMA fault.

    edu at 10.0 --- VMM 1 (QEMU) --.
                                    >-- /dev/iommu --> ps, monitor
    edu on a port - VMM 2 (QEMU) --'

Run inside the VM, as root, with a second edu behind the IOMMU (tests/run.py
has one). Their output is shown as comments. Prints TAP.
"""

import fcntl
import glob
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../daemon", HERE + "/.."]
import edu_dma  # noqa: E402
import qemu_iommufd  # noqa: E402
from harness import Client, Daemon, wait_until  # noqa: E402
from qemu_iommufd import Qtest, stats  # noqa: E402
from tap import Tap  # noqa: E402

FIRST = "0000:00:10.0"
MIB = 1 << 20
TRUST = "/sys/module/granule/parameters/allow_unsafe_interrupts"


def say(text):
    for line in text.splitlines():
        print("# " + line, flush=True)


def iommuctl(*args):
    done = subprocess.run(["iommuctl", *args], capture_output=True, text=True,
                          check=False, timeout=120)
    if done.returncode:
        say("iommuctl %s: status %d: %s" % (" ".join(args), done.returncode,
                                            done.stderr))
    return done.stdout


def ps():
    return json.loads(iommuctl("ps", "--json"))["contexts"]


def second():
    """An edu whose group is not the first one's."""
    for path in sorted(glob.glob("/sys/bus/pci/devices/*")):
        with open(path + "/device", encoding="ascii") as f:
            if f.read().strip() != "0x11e8" or path.endswith(FIRST):
                continue
        if os.path.exists(path + "/iommu_group"):
            return os.path.basename(path)
    return None


def vmm(device, memory):
    return Qtest([qemu_iommufd.QEMU, "-accel", "tcg", "-S", "-nodefaults",
                  "-display", "none", "-machine", "q35", "-m", str(memory),
                  "-qtest", "stdio", "-qtest-log", "none",
                  "-object", "iommufd,id=i0", "-device",
                  "vfio-pci,host=%s,iommufd=i0" % device], ())


class Monitor:
    def __init__(self, *args):
        self.proc = subprocess.Popen(["iommuctl", "monitor", *args],
                                     stdout=subprocess.PIPE, text=True)
        self.first = self.proc.stdout.readline()
        self.lines = []

    def until(self, good):
        while True:
            line = self.proc.stdout.readline()
            if not line:
                return None
            self.lines.append(line)
            if good(line):
                return line

    def end(self):
        self.proc.terminate()
        self.proc.wait()
        self.proc.stdout.close()


def two_vmms(tap, other):
    one, two = vmm(FIRST, 64), vmm(other, 96)
    try:
        # An answer over qtest: the machine is there, and all is mapped.
        tap.ok(qemu_iommufd.find_edu(one) is not None and
               qemu_iommufd.find_edu(two) is not None, "two VMMs run")
        contexts = ps()
        say(iommuctl("ps"))
        by_pid = {c["used_by"]["pid"]: c for c in contexts}
        for proc, device, memory in ((one.proc, FIRST, 64),
                                     (two.proc, other, 96)):
            c = by_pid.get(proc.pid, {})
            tap.ok(c and c["used_by"]["user"] == 0 and
                   c["used_by"]["comm"].startswith("qemu") and
                   c["pinned_bytes"] >= memory * MIB and
                   c["mapped_bytes"] >= c["pinned_bytes"] and
                   [d["device"] for d in c["devices"]] == [device] and
                   any(i["ioas"] == c["devices"][0]["ioas"] and
                       i["pinned_bytes"] >= memory * MIB and
                       i["nr_areas"] > 1 for i in c["ioas"]),
                   "ps: VMM with %d MiB and %s" % (memory, device))
        tap.ok(sum(c["pinned_bytes"] for c in contexts) ==
               stats()["pinned_bytes"], "ps: all pinned bytes are somebody's")
    finally:
        one.end()
        two.end()
    wait_until(lambda: not ps())
    tap.ok(iommuctl("ps").startswith("nobody"), "ps: nobody is left")


def reach_out():
    """In iommuctl map --exec: few bytes, as each may be a fault of its own."""
    edu_dma.SIZE = 8
    edu = edu_dma.Edu(int(os.environ["IOMMU_DEVICE_FD"]))
    outside = int(os.environ["IOMMU_IOVA"], 0) + \
        int(os.environ["IOMMU_LENGTH"], 0)
    edu.dma(outside, edu_dma.BUFFER, 0)
    # Within a second, some would not be told.
    time.sleep(1.2)
    edu.dma(edu_dma.BUFFER, outside, edu_dma.TO_RAM)
    # And be told of while the context is there.
    time.sleep(2)


def fault(tap, virtio):
    """edu reads and writes right behind what is mapped."""
    size, iova = 65536, 0x1000000
    wrong = hex(iova + size)
    text, js = Monitor("--kind", "fault"), Monitor("--json")
    tap.ok("started" in text.first and json.loads(js.first)["kind"] ==
           "started" and "kernel-log" in json.loads(js.first)["sources"],
           "monitor: says what it listens to")
    say(iommuctl("map", FIRST, "--size", str(size), "--iova", hex(iova),
                 "--exec", os.path.abspath(__file__), "reach-out"))
    # QEMU's virtio IOMMU does not say which access it was.
    for access in ("access", "access") if virtio else ("read", "write"):
        line = text.until(lambda line, a=access: a + " at IOVA " + wrong in
                          line)
        say(line or "no line")
        tap.ok(line and FIRST in line, "monitor: %s outside the map, with "
               "device and IOVA" % access)
    event = json.loads(js.until(lambda line: '"kind":"fault"' in line))
    say(json.dumps(event))
    tap.ok(event["device"] == FIRST and event["iova"] == wrong and
           event["access"] == (None if virtio else "read") and
           event["source"] == ("module" if virtio else "kernel-log") and
           bool(event["context"]) == bool(virtio),
           "monitor --json: the same, from %s" % event["source"])
    last = js.until(lambda line: '"kind":"closed"' in line)
    kinds = [json.loads(line)["kind"] for line in js.lines]
    tap.ok(last and [k for k in kinds if k != "fault"] ==
           ["opened", "bound", "ioas-created", "attached", "detached",
            "unbound", "ioas-destroyed", "closed"],
           "monitor --json: the life of a context: %s" % " ".join(kinds))
    js.end()
    text.end()


def map_at(iommufd, ioas, address, iova):
    """0, or the errno."""
    try:
        fcntl.ioctl(iommufd, 0x3B85, struct.pack(
            "<IIIIQQQ", 40, 7, ioas, 0, address, 4096, iova))
    except OSError as error:
        return error.errno
    return 0


def daemon_tells(tap, virtio):
    """A lease whose holder maps twice at one place, and reaches out."""
    iova = 0x1000000
    with tempfile.TemporaryDirectory() as directory:
        daemon = Daemon(shutil.which("iommud"), directory).start()
        os.environ["IOMMUD_SOCKET"] = daemon.socket
        monitor = Monitor("--json", "--kind", "leased,returned")
        watcher = daemon.client()
        watcher.send("Monitor", {}, more=True)
        watcher.reply()
        client = Client(daemon.socket)
        got = client.call("Acquire", devices=[FIRST])
        fds, dev = client.take_fds(), got["devices"][0]
        iommufd, device = fds[got["iommufd"]], fds[dev["fd"]]
        buffer = edu_dma.mmap.mmap(-1, 4096)
        address = edu_dma.ctypes.addressof(
            edu_dma.ctypes.c_char.from_buffer(buffer))
        first = map_at(iommufd, dev["ioas_id"], address, iova)
        again = map_at(iommufd, dev["ioas_id"], address, iova)
        edu_dma.SIZE = 8
        edu_dma.Edu(device).dma(iova + 8192, edu_dma.BUFFER, 0)
        kinds = ["leased", "refused"] + (["fault"] if virtio else [])
        events = []
        while kinds and len(events) < 9:
            events.append(watcher.reply()["event"])
            say(json.dumps(events[-1]))
            if events[-1]["kind"] == kinds[0]:
                kinds.pop(0)
        lease = daemon.call("ListLeases")["leases"][0]
        tap.ok(not first and again and not kinds and
               all(e["device"] == FIRST for e in events) and
               lease["refused"] == 1 and bool(lease["faults"]) == virtio and
               daemon.call("GetStatus")["listens"],
               "iommud tells of the leased device: %s"
               % " ".join(e["kind"] for e in events))
        line = monitor.until(lambda line: '"kind":"leased"' in line)
        say(line)
        tap.ok(json.loads(line)["source"] == "daemon" and
               json.loads(line)["device"] == FIRST,
               "monitor shows the daemon's events, too")
        for fd in fds:
            os.close(fd)
        line = monitor.until(lambda line: '"kind":"returned"' in line)
        tap.ok(line and FIRST in line, "and the end of the lease")
        monitor.end()
        watcher.close()
        client.close()
        # Nobody has /dev/iommu open: the module may go, and come again.
        wait_until(lambda: not any(stats().values()))
        listens = []
        for command in (["rmmod", "granule_vfio", "granule"],
                        ["modprobe", "-a", "granule", "granule-vfio"]):
            done = subprocess.run(command, check=False).returncode == 0
            want = command[0] == "modprobe"
            listens.append(done and wait_until(
                lambda w=want: daemon.call("GetStatus")["listens"] == w)
                is not None)
        tap.ok(listens == [True, True],
               "iommud notices that the module goes, and listens again")
        tap.ok(daemon.stop() == 0, "SIGTERM ends the daemon")
        del os.environ["IOMMUD_SOCKET"]


def unprivileged(tap):
    """Everybody may look, and is told what cannot be seen."""
    with open("/dev/iommu", "rb+", buffering=0):
        # libcap's capsh is not everywhere; setpriv is.
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups",
                               "iommuctl", "ps"], capture_output=True,
                              text=True, check=False)
        say(done.stdout)
        tap.ok(not done.returncode and done.stdout.startswith("no context") and
               "CAP_NET_ADMIN" in done.stdout,
               "ps of another user: says what is missing")
    with tempfile.TemporaryFile("w+") as err:
        proc = subprocess.Popen(["setpriv", "--reuid", "65534",
                                 "--clear-groups", "iommuctl", "monitor"],
                                stdout=subprocess.PIPE, stderr=err, text=True)
        line = proc.stdout.readline()
        proc.terminate()
        proc.wait()
        proc.stdout.close()
        err.seek(0)
        notes = err.read()
    say(line + notes)
    tap.ok("started" in line and "CAP_NET_ADMIN" in notes,
           "monitor of another user: says what is missing")


def main():
    if os.path.exists("/sys/bus/virtio/drivers/granule_virtio_iommu"):
        with open(TRUST, "w", encoding="ascii") as f:
            f.write("1")
    iommuctl("device", "bind", FIRST)
    other = second()
    tap = Tap(plan=18 if other else 13)
    if other:
        iommuctl("device", "bind", "--group", other)
        two_vmms(tap, other)
    virtio = bool(glob.glob("/sys/bus/virtio/drivers/granule_virtio_iommu/"
                            "virtio*"))
    fault(tap, virtio)
    daemon_tells(tap, virtio)
    unprivileged(tap)
    for device in (FIRST, other):
        if device:
            iommuctl("device", "unbind", device)
    tap.ok(not any(stats().values()), "nothing is left")
    return tap.end()


if __name__ == "__main__":
    if sys.argv[1:] == ["reach-out"]:
        sys.exit(reach_out())
    sys.exit(main())
