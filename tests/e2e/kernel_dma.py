#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""In-tree drivers behind a virtio IOMMU with pages of any size. Prints TAP.

Runs in the VM that tests/e2e/kernel-dma starts, which says how the machine is
made; test names as arguments choose among the tests.
"""

import argparse
import contextlib
import glob
import mmap
import os
import random
import signal
import subprocess
import sys
import time

import edu
import machine
import qmp
import subject
import untranslated
from machine import Device, log, modprobe, read, wait, write

sys.path.append(os.path.dirname(os.path.abspath(__file__)) + "/..")
from tap import Tap  # noqa: E402

IOMMU = "granule-virtio-iommu"
DEBUGFS = "/sys/kernel/debug"
# What the kernel's log may not have, besides what fails any run.
TROUBLE = ("EXT4-fs error", "Tx Unit Hang", "controller is down", "timeout, ",
           "HC died", "granule-dma: no", "unmapped now", "unmappings failed")
# Nor this, unless a device goes in the middle of I/O.
ERRORS = ("I/O error",)


def behind(port):
    """The device behind a port, wherever the firmware put the bus."""
    found = glob.glob("%sdevices/%s/0000:*:00.0" % (machine.PCI, port))
    return Device(os.path.basename(found[0])) if found else None


def slot(number):
    return lambda: Device("0000:00:%02x.0" % number)


def port(number):
    return lambda: behind("0000:00:%02x.0" % number)


def below(finder, address):
    """A device on the conventional bus behind a bridge."""
    def find():
        bridge = finder()
        found = glob.glob("%s/0000:*:%s" % (bridge.path, address)) \
            if bridge else []
        return Device(os.path.basename(found[0])) if found else None
    return find


def make_subjects(args):
    """The devices as tests/e2e/kernel-dma placed them."""
    def nvme(number, bus, disk):
        return [("nvme", "nvme%d" % number, {
            "bus": bus, "drive": "disk%d" % disk, "serial": str(number)})]

    def usb(number, bus, disk):
        return [("qemu-xhci", "xhci%d" % number, {"bus": bus}),
                ("usb-storage", "stick%d" % number, {
                    "bus": "xhci%d.0" % number, "drive": "disk%d" % disk})]

    def card(number, bus):
        return [("e1000e", "card%d" % number, {
            "bus": bus, "netdev": "net%d" % number})]

    sums = args.sums
    return {s.name: s for s in (
        subject.Nvme("nvme", port(4), nvme(0, "port4", 0), sums[0]),
        subject.Usb("usb", port(5), usb(0, "port5", 1), sums[1]),
        subject.Card("e1000e", port(6), card(0, "port6"), "10.0.2"),
        # Built in, so that it cannot be unplugged.
        subject.Nvme("untrusted nvme", slot(7), None, sums[2], False),
        subject.Usb("external usb", port(8), usb(1, "port8", 3), sums[3],
                    False),
        subject.Card("external e1000e", port(9), card(1, "port9"), "10.0.3",
                     False),
        subject.Nvme("external nvme", port(10), nvme(2, "port10", 4), sums[4],
                     False),
        subject.PciCard("e1000 behind a bridge", below(port(11), "01.0"),
                        None, "10.0.4"),
    )}


class Run:
    def __init__(self, args):
        self.args = args
        self.ours = args.iommu == "granule"
        self.subjects = {name: s for name, s in make_subjects(args).items()
                         if not args.devices or name in args.devices}
        if os.uname().machine != "x86_64":
            # Only a PC's table says that a port leads outside.
            self.subjects = {name: s for name, s in self.subjects.items()
                             if not name.startswith("external")}
        self.tap = Tap(args.prefix)
        self.rng = random.Random(args.seed)
        self.qmp = None

    def monitor(self):
        self.qmp = self.qmp or qmp.Qmp()
        return self.qmp

    def ok(self, good, what, note=None):
        return self.tap.ok(good, what, note)

    def only_ours(self, what):
        """For tests of what only Granule has."""
        if not self.ours:
            self.tap.skip(what, "not Granule's IOMMU driver: %s"
                          % self.args.iommu)
        return self.ours


def faults():
    """How many DMA accesses Granule's IOMMU driver saw denied."""
    return sum(int(read(f)) for f in
               glob.glob("/sys/class/iommu/*/%s/faults" % IOMMU))


def asked():
    """Requests to Granule's IOMMUs, and how often they were told to look."""
    return [sum(int(read(f)) for f in
                glob.glob("/sys/class/iommu/*/%s/%s" % (IOMMU, name)))
            for name in ("requests", "kicks")]


def new_trouble(before, torn):
    words = TROUBLE if torn else TROUBLE + ERRORS
    return [line for line in log()[before:] if any(w in line for w in words)]


@contextlib.contextmanager
def unharmed(run, what, torn=False):
    """Nothing in it is denied by the IOMMU or goes wrong in the log.

    torn: devices go in the middle of I/O.
    """
    denied, lines = faults(), len(log())
    yield
    bad = new_trouble(lines, torn)
    bad += [line for line in log()[lines:] if "denied" in line][:5]
    # They are counted from 0 when the driver comes anew.
    if run.ours and faults() > denied:
        bad.append("%d DMA accesses denied" % (faults() - denied))
    run.ok(not bad, what + ": no complaint, no fault", "\n".join(bad[:20]))


def pooled(run, s):
    """Granules that the driver keeps in DMA pools, for later."""
    total, name = 0, s.device().path + "/pools"
    if not os.path.exists(name):
        return 0
    # One line for a pool: name, blocks in use, blocks, bytes of one, pages
    for line in read(name).splitlines()[1:]:
        blocks, size, pages = (int(n) for n in line.split()[-3:])
        if pages:
            total += pages * -(-(blocks // pages * size) // run.args.granule)
    return total


def at_rest(run, s):
    """Granules that are mapped, but for those."""
    return subject.settle(s) - pooled(run, s)


def back_at(run, s, start):
    """The same, as it was at first or else in the end: drivers take time."""
    seen = []

    def same():
        seen.append(at_rest(run, s))
        return seen[-1] == start

    wait(same, 30)
    return seen[-1]


def check_work(run, s, amount):
    """It works, by DMA that is translated, and gives back what it took."""
    s.appear()
    s.idle()
    before = s.counters()
    start = at_rest(run, s)
    asked_before = asked()
    with unharmed(run, s.name):
        for what, wrong in s.work(amount):
            run.ok(wrong is None, "%s: %s" % (s.name, what), wrong)
        during = s.counters()
        s.idle()
    if not run.ours:
        return
    end = back_at(run, s, start)
    after = s.counters()
    grown = {k: after.get(k, 0) - before.get(k, 0) for k in after}
    run.ok(grown.get("mappings", 0) > 20 * amount and
           during.get("mapped_granules", 0) > 0,
           "%s: its DMA was translated" % s.name, "%s, then %s"
           % (before, after))
    requests, kicks = (n - m for n, m in zip(asked(), asked_before))
    if s.lists:
        run.ok(requests > kicks > 0, "%s: several requests per kick" % s.name,
               "%d requests, %d kicks" % (requests, kicks))
    run.ok(after.get("granule") == run.args.granule,
           "%s: in granules of %d" % (s.name, run.args.granule), after)
    run.ok(end == start, "%s: as many granules mapped as before, but for DMA pools: %d"
           % (s.name, start), "%d" % end)
    run.ok(not grown.get("failures"), "%s: no mapping was refused" % s.name,
           after)
    run.ok(after.get("trusted") == int(s.trusted) and
           (grown.get("bounced_bytes", 0) > 0) != s.trusted,
           "%s: %s" % (s.name, "trusted, nothing was copied" if s.trusted
                       else "untrusted, by way of bounce buffers"), after)


def test_work(run):
    """Every device does what it is for."""
    for s in run.subjects.values():
        check_work(run, s, run.args.amount)


def rounds(s, number):
    """How often something is done; devices of a kind seen before do less."""
    few = not s.trusted or "bridge" in s.name
    return max(number // (4 if few else 1), 1)


def drained(s):
    counters = s.counters()
    return not counters.get("mapped_granules") and \
        not counters.get("bounce_granules") and not counters.get("users")


def test_rebind(run):
    """Drivers leave and come back, at rest and in the middle of I/O."""
    for s in run.subjects.values():
        count = max(rounds(s, run.args.rounds), 2)
        left = []
        with unharmed(run, s.name + ": unbound again and again", torn=True):
            for number in range(count):
                if number % 2:
                    s.start_load()
                    time.sleep(run.rng.random() * 0.2)
                s.unbind()
                s.stop_load()
                if run.ours and not drained(s):
                    left.append(s.counters())
                s.bind()
                # Every third time it is unbound while it still starts.
                if number % 3 or number == count - 1:
                    s.appear()
        if run.ours:
            run.ok(not left, "%s: unbound %d times, nothing was left mapped"
                   % (s.name, count), left)
        check_work(run, s, 1)


def plug(run, s):
    for driver, name, properties in s.qemu:
        run.monitor().plug(driver, name, **properties)
    return wait(s.device) and wait(lambda: s.device().driver)


def test_hotplug(run):
    """Devices leave in the middle of I/O, and come back."""
    for s in [s for s in run.subjects.values() if s.qemu]:
        for number in range(rounds(s, run.args.plugs)):
            group = s.device().group
            address = s.device().address
            s.start_load()
            time.sleep(0.1 + run.rng.random() * 0.2)
            told = run.monitor().unplug(s.qemu[0][1])
            gone = wait(lambda: not Device(address).exists())
            s.stop_load()
            if not run.ok(told and gone, "%s: unplugged under I/O (%d)"
                          % (s.name, number + 1),
                          "QEMU says so: %s, the kernel: %s" % (told, gone)):
                return
            if run.ours:
                where = "%s%s" % (machine.COUNTERS, group)
                left = {} if not os.path.isdir(where) else \
                    {k: int(read(where + "/" + k)) for k in
                     ("mapped_granules", "bounce_granules", "users")}
                run.ok(not any(left.values()),
                       "%s: nothing of it is left" % s.name, left)
            run.ok(plug(run, s), "%s: plugged in again" % s.name)
        check_work(run, s, 1)


def pins():
    """Who keeps granule-dma.ko."""
    return int(read("/sys/module/granule_dma/refcnt")) if \
        os.path.exists("/sys/module/granule_dma") else 0


def test_held(run):
    """Devices leave while a file on them is open; memory is freed after it."""
    for s in [s for s in run.subjects.values() if hasattr(s, "node")]:
        with unharmed(run, s.name + ": left while it was open", torn=True):
            s.appear()
            before = pins()
            held = os.open(s.node(), os.O_RDONLY)
            s.unbind()
            os.close(held)
            s.bind()
            s.appear()
            if s.qemu:
                address = s.device().address
                held = os.open(s.node(), os.O_RDONLY)
                run.monitor().unplug(s.qemu[0][1])
                gone = wait(lambda: not Device(address).exists())
                os.close(held)
                run.ok(gone and plug(run, s),
                       "%s: unplugged while it was open" % s.name)
                s.appear()
            # What is freed late keeps the module until it is.
            run.ok(wait(lambda: pins() == before),
                   "%s: all memory was freed" % s.name, (before, pins()))
        check_work(run, s, 1)


def rescan(device):
    """Find what was removed by sysfs again; whether it came."""
    write(machine.PCI + "rescan", "1")
    return wait(device.exists)


def test_alias(run):
    """Devices behind a conventional bridge, which have one ID in common."""
    s = run.subjects.get("e1000 behind a bridge")
    if not s:
        return
    sibling = below(port(11), "02.0")()
    s.appear()
    s.card.up()
    s.start_load()
    time.sleep(0.3)
    with unharmed(run, "a sibling comes and goes"):
        write(sibling.path + "/remove", "1")
        run.ok(not sibling.exists(), "the sibling of a card in use is removed")
        wrong = s.card.put(200000)
        run.ok(wrong is None, "%s: works without its sibling" % s.name, wrong)
        run.ok(rescan(sibling), "the sibling is found again")
        wrong = s.card.put(200000)
        run.ok(wrong is None, "%s: works with it" % s.name, wrong)
    bridge = port(11)()
    write(bridge.path + "/remove", "1")
    s.stop_load()
    run.ok(not bridge.exists(), "the bridge is removed under I/O")
    run.ok(rescan(bridge) and wait(s.device) and
           wait(lambda: s.device().driver), "all of it is found again")
    check_work(run, s, 1)


def find_edu():
    return next(d for d in machine.devices()
                if d.id == edu.ID and d.address.startswith("0000:00:"))


def test_blocked(run):
    """DMA of a device that nobody uses goes nowhere, and is reported."""
    device = find_edu()
    modprobe("pci-stub")
    device.release()
    # With a driver it becomes known to the IOMMU; this one does no DMA.
    device.override("pci-stub")
    device.release()
    lines = len(log())
    reached = untranslated.reaches_memory(device)
    if run.args.iommu == "none":
        run.ok(reached, "without an IOMMU, edu reaches memory")
        return
    run.ok(device.group is not None, "edu is in an IOMMU group")
    run.ok(not reached, "edu's DMA to a physical address: memory unchanged")
    if run.only_ours("the kernel's log says so"):
        def told():
            return [line for line in log()[lines:]
                    if device.address in line and "denied" in line]

        # The device does not wait for the IOMMU's interrupt.
        wait(told)
        time.sleep(0.5)
        found = told()
        run.ok(found, "the kernel's log says so", log()[lines:])
        run.ok(len(found) <= 10, "but not for every one of 1024 accesses",
               len(found))
        c = device.counters()
        run.ok(c.get("mapped_granules") == 0, "edu has nothing mapped", c)


class Hog:
    """Takes memory until little is left, and keeps it."""

    def __init__(self, leave):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            write("/proc/self/oom_score_adj", "1000")
            kept = []
            while available() > leave:
                kept.append(bytearray(b"\1") * (4 << 20))
            os.write(writer, b"x")
            signal.pause()
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def available():
    return next(int(line.split()[1]) << 10 for line in
                read("/proc/meminfo").splitlines()
                if line.startswith("MemAvailable"))


def test_pressure(run):
    """Disks work through the page cache while memory is short."""
    for s in [s for n, s in run.subjects.items()
              if n in ("nvme", "untrusted nvme")]:
        name = s.name
        node = s.node()
        start = at_rest(run, s)
        hog = Hog(60 << 20)
        with unharmed(run, name + ", little memory"):
            wrong = None
            try:
                for _ in range(2):
                    subprocess.run(["dd", "if=" + node, "of=/dev/null",
                                    "bs=1M", "status=none"], check=True)
                wrong = subject.disk.file_system(
                    node, 3, subject.disk.size(node) // 3)
            except (OSError, subprocess.CalledProcessError) as error:
                wrong = str(error)
            finally:
                hog.end()
        run.ok(wrong is None, "%s: works while memory is short" % name, wrong)
        if run.ours:
            run.ok(back_at(run, s, start) == start,
                   "%s: as many granules mapped as before, but for DMA pools"
                   % name, s.counters())


def transport():
    """The PCI device that the virtio IOMMU is."""
    return next(d for d in machine.devices() if d.id == ("0x1af4", "0x1057"))


def unload(run):
    """As kernel/virtio/main.c says; what modprobe says if it fails."""
    granule = [m for m in ("granule_dma_test", "granule_vfio", "granule")
               if machine.loaded(m)]
    if granule:
        subprocess.run(["modprobe", "-r", *granule], check=True)
    transport().unbind()
    done = subprocess.run(["modprobe", "-r", IOMMU], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if machine.loaded("granule-dma"):
        subprocess.run(["modprobe", "-r", "granule-dma"])
    return done.stdout if done.returncode else None


def test_unload(run):
    """The modules are unloaded and loaded again, and all works again."""
    if not run.only_ours("unload and reload"):
        return
    refused = subprocess.run(["rmmod", IOMMU], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    run.ok(refused.returncode and "in use" in refused.stdout,
           "unloading with devices behind it is refused", refused.stdout)
    with unharmed(run, "unload", torn=True):
        for s in run.subjects.values():
            s.appear()
            s.start_load()
        time.sleep(0.2)
        wrong = unload(run)
        for s in run.subjects.values():
            s.stop_load()
        run.ok(wrong is None, "unload, the IOMMU being unbound", wrong)
        run.ok(not machine.loaded(IOMMU) and not machine.loaded("granule-dma"),
               "both modules are gone")
        run.ok(not os.path.exists(machine.COUNTERS), "and their counters")
        users = [s.name for s in run.subjects.values() if s.device().driver]
        run.ok(not users, "no driver is left behind it", users)
    modprobe(IOMMU)
    transport().bind("virtio-pci")
    for s in run.subjects.values():
        if not s.device().driver:
            s.bind()
        check_work(run, s, 1)


def test_shutdown(run):
    """Leaves I/O behind that tools/vm --power-off shuts down under."""
    for s in run.subjects.values():
        if not s.device() or not s.device().driver:
            continue
        s.appear()
        s.start_load()
        s.busy = None		# it outlives us
    time.sleep(0.5)


def deferred(device):
    """Does its driver wait for something that the device needs?"""
    if not os.path.ismount(DEBUGFS):
        subprocess.run(["mount", "-t", "debugfs", "debugfs", DEBUGFS],
                       check=True)
    return any(line.split()[0] == device.address for line in
               read(DEBUGFS + "/devices_deferred").splitlines())


@contextlib.contextmanager
def impatient(s):
    """The driver waits for an nvme for seconds, not for half a minute."""
    admin = "/sys/module/nvme_core/parameters/admin_timeout"
    before = read(admin)
    write(admin, "5")
    # Of the path to it, where its node is that of all paths.
    for name in s.device().children("nvme/nvme*/nvme*n*/queue/io_timeout"):
        write(name, "3000")
    try:
        yield
    finally:
        write(admin, before)


def ended(pid):
    """A child's (id, status); None: it goes on."""
    done = os.waitpid(pid, os.WNOHANG)
    return done if done[0] else None


def check_blocked(run, s):
    """A disk whose driver was there first, and that can reach nothing now."""
    lines, denied = len(log()), faults()
    with impatient(s):
        node = s.node()
        reader = os.fork()
        if not reader:
            try:
                disk = subject.disk.open_direct(node, os.O_RDONLY)
                os.preadv(disk, [mmap.mmap(-1, 4096)], 0)
                os._exit(0)
            except OSError:
                os._exit(2)
        # An answer, a reset and its answer never come.
        done = wait(lambda: ended(reader), 60)
        run.ok(not done or done[1], "%s: no read succeeds" % s.name, done)
        told = [line for line in log()[lines:]
                if s.device().address in line and "denied" in line]
        run.ok(told and faults() > denied, "%s: its DMA is denied" % s.name,
               "\n".join(log()[lines:]))
        counters = s.counters()
        run.ok(counters.get("direct") == 0 and counters.get("mappings") == 0,
               "%s: neither untranslated nor mapped" % s.name, counters)
        # The driver may have given it up.
        if s.device().driver:
            s.unbind()
    if not done:
        run.ok(wait(lambda: ended(reader)), "%s: the read ends with its driver"
               % s.name)


def test_late(run):
    """Drivers were bound before the IOMMU had one."""
    nvme, usb = run.subjects["nvme"], run.subjects["usb"]
    other = run.subjects["untrusted nvme"]
    modprobe(*subject.Nvme.modules)
    # Its driver starts on its own time.
    wait(lambda: nvme.device().driver or deferred(nvme.device()))
    early = nvme.device().driver is not None
    nvme.writes = False
    if early:
        # 6.1 knows nothing of the IOMMU.
        nvme.appear()
        run.ok(subject.disk.sha256(nvme.node()) == nvme.reference,
               "nvme works before there is a driver for the IOMMU")
        nvme.start_load()
        other.appear()
    else:
        run.ok(machine.loaded("nvme") and deferred(nvme.device()),
               "nvme waits for the IOMMU's driver")
    device = find_edu()
    run.ok(untranslated.reaches_memory(device),
           "until then, edu reaches memory")
    modprobe(IOMMU)
    run.ok(wait(lambda: nvme.device().group is not None),
           "nvme is in an IOMMU group")
    nvme.stop_load()
    if early:
        counters = nvme.counters()
        run.ok(counters.get("direct") == 1 and
               counters.get("mappings") == 0,
               "nvme goes on untranslated", counters)
        with unharmed(run, "nvme untranslated"):
            same = subject.disk.sha256(nvme.node()) == nvme.reference
        run.ok(nvme.counters().get("mappings") == 0, "nvme: nothing mapped",
               nvme.counters())
        run.ok(same, "nvme: all of the disk as before")
        nvme.start_load()
        time.sleep(0.1)
        with unharmed(run, "nvme unbound", torn=True):
            nvme.unbind()
        nvme.stop_load()
        run.ok(nvme.counters().get("direct") == 0, "nobody is untranslated",
               nvme.counters())
        nvme.bind()
        check_blocked(run, other)
        other.bind()
    else:
        run.tap.skip("untrusted nvme, bound before the IOMMU: blocked",
                     "in this kernel drivers wait for the IOMMU")
    # Now as if the modules had come first.
    device.release()
    modprobe("pci-stub")
    device.override("pci-stub")
    device.release()
    run.ok(not untranslated.reaches_memory(device),
           "edu does not reach memory any more")
    modprobe(*subject.Usb.modules, *subject.Card.modules)
    for s in (nvme, usb, run.subjects["e1000e"], other):
        wait(lambda s=s: s.device().driver)
        check_work(run, s, 1)


TESTS = {
    "blocked": test_blocked,
    "work": test_work,
    "rebind": test_rebind,
    "hotplug": test_hotplug,
    "held": test_held,
    "alias": test_alias,
    "pressure": test_pressure,
    "unload": test_unload,
    "shutdown": test_shutdown,
    "late": test_late,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--iommu", choices=("granule", "in-tree", "none"),
                        default="granule", help="whose driver is loaded")
    parser.add_argument("--granule", type=int, default=4096)
    parser.add_argument("--sums", nargs=5, required=True,
                        metavar="SHA256", help="of the disks")
    parser.add_argument("--devices", type=lambda v: v.split(","),
                        help="names, separated by commas")
    parser.add_argument("--amount", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--plugs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--tests", nargs="+", choices=TESTS,
                        default=[n for n in TESTS if n != "late"])
    args = parser.parse_args()
    run = Run(args)
    if "late" not in args.tests:
        modprobe(*{m for s in run.subjects.values() for m in s.modules})
    if machine.loaded("usb_storage"):
        write("/sys/module/usb_storage/parameters/delay_use", "0")
    for name in args.tests:
        start = time.monotonic()
        try:
            TESTS[name](run)
        except (OSError, qmp.QmpError, AttributeError) as error:
            import traceback
            run.ok(False, "%s: %r" % (name, error), traceback.format_exc())
        finally:
            for s in run.subjects.values():
                s.stop_load()
        print("# %s: %.1f s" % (name, time.monotonic() - start), flush=True)
    return run.tap.end()


if __name__ == "__main__":
    sys.exit(main())
