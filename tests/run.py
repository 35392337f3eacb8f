#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Run suites of tests and add up their totals. tools/test calls this."""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BUILD = os.path.abspath(os.environ.get("GRANULE_BUILD", TOP + "/build"))
CACHE = os.environ.get("GRANULE_CACHE", "/var/cache/granule")

# A bus that can be reset, with two functions on it that are one IOMMU group.
PORT = ("-device pcie-root-port,id=rpt,chassis=7,slot=7,addr=0x18 "
        "-device edu,bus=rpt,addr=0.0,multifunction=on "
        "-device edu,bus=rpt,addr=0.1")


EDU = "0000:00:10.0"

# Words in the log of a VM that QEMU let down, all of a line, and what they say.
QEMU_TROUBLE = (
    ("lost a timer", "kthread timer wakeup didn't happen"),
    # Linux waits for it with interrupts off, until RCU complains.
    ("never completed an invalidation of VT-d's",
     "detected stalls on CPUs/tasks", "RIP: 0010:qi_submit_sync"),
    # From tools/vm: before any module of ours was loaded.
    ("did not boot", "the VM died during boot"),
    ("lost its QEMU", "(QEMU's status -"),	# by a signal
    ("stood still", "(--timeout): stopped"),
    ("stood still", "(--silence): stopped"),
)


class Totals:
    """Passed, failed and skipped tests, and lines worth showing."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []
        self.failures = []	# with what there is to say of each

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.notes += other.notes
        self.failures += other.failures

    def fail(self, *lines):
        self.failed += 1
        self.explain(lines)

    def explain(self, lines):
        """What there is to say of a failure: shown again at the very end."""
        self.notes += lines
        self.failures += lines

    def __str__(self):
        return "%d passed, %d failed, %d skipped" % (
            self.passed, self.failed, self.skipped)


def read_tap(lines, name, status):
    """The totals of one TAP stream; its plan and its status have to agree."""
    totals = Totals()
    plan, seen, trouble = None, 0, []
    for line in lines:
        if match := re.match(r"1\.\.(\d+)", line):
            plan = int(match[1])
        elif match := re.match(r"(not )?ok\b(.*)", line):
            seen += 1
            skip = re.search(r"# *SKIP\b(.*)", match[2], re.I)
            if skip:
                totals.skipped += 1
                totals.notes.append("%s: skipped:%s" % (name, match[2]))
            elif match[1]:
                totals.fail("%s: %s" % (name, line.strip()),
                            *("    " + t for t in trouble[-12:]))
            else:
                totals.passed += 1
            trouble = []
        elif line.startswith("#") and "RUN" not in line:
            trouble.append(line.rstrip())
    if plan is None or plan != seen:
        totals.fail("%s: plan of %s tests, %d seen" % (name, plan, seen))
    elif status and not totals.failed:
        totals.fail("%s: status %d" % (name, status))
    elif not totals.passed and not totals.failed:
        totals.fail("%s: nothing was tried" % name)
    return totals


def run_meson(suite):
    """A suite of meson's; each subtest counts."""
    totals = Totals()
    log = BUILD + "/meson-logs/testlog.junit.xml"
    if os.path.exists(log):
        os.unlink(log)
    run = subprocess.run(["meson", "test", "-C", BUILD, "--no-rebuild",
                          "--suite", suite, "--print-errorlogs",
                          # A busy machine needs long.
                          "--timeout-multiplier", "5"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True)
    if not os.path.exists(log):
        totals.fail(run.stdout)
        return totals
    for case in ET.parse(log).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            totals.fail("%s: %s" % (suite, case.get("name")))
        elif case.find("skipped") is not None:
            totals.skipped += 1
            totals.notes.append("%s: skipped: %s" % (suite, case.get("name")))
        else:
            totals.passed += 1
    if run.returncode:
        if not totals.failed:
            totals.fail("%s: meson's status %d" % (suite, run.returncode))
        totals.explain([run.stdout])
    return totals


def run_patiently(command, totals):
    """Run what runs a VM; again, twice at most, if QEMU let that down.

    It did if a timer of an idle CPU got lost, which is nothing that a module
    could do, or the VM did not end: on a busy host some stand still, idle
    (docs/testing.md). What is wrong every time still fails.
    """
    for attempt in (1, 2, 3):
        run = subprocess.run(command, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True,
                             errors="replace")
        why = next((why for why, *words in QEMU_TROUBLE
                    if all(word in run.stderr for word in words)), None)
        totals.notes += [line for line in run.stderr.splitlines()
                         if "stood still and was woken" in line]
        if attempt == 3 or not why:
            return run
        totals.notes.append("tried again: the virtual machine " + why)
        totals.notes += run.stdout.splitlines()[-5:]
        totals.notes += run.stderr.splitlines()[-300:]


def run_vm(options, names=(), label="", build=BUILD, qemu=PORT):
    """Programs in the VM; one whose kernel complains fails as a whole."""
    totals = Totals()
    label = label and label + " "
    # A busy host needs long for many programs; what hangs is silent.
    command = [TOP + "/tools/vm", "--timeout", "1800", "--silence", "180",
               *options, "--qemu", qemu, "--", TOP + "/tests/vm/all.sh",
               build, *names]
    run = run_patiently(command, totals)
    name, lines, seconds = None, [], "?"
    for line in run.stdout.splitlines():
        if line.startswith("# program: "):
            name, lines = label + line.split(": ")[1], []
        elif line.startswith("# seconds: "):
            seconds = line.split(": ")[1]
        elif line.startswith("# status: "):
            one = read_tap(lines, name, int(line.split(": ")[1]))
            totals.notes.append("%s: %s (%s s)" % (name, one, seconds))
            totals.add(one)
            name = None
        else:
            lines.append(line)
    if name:
        totals.fail("%s: did not end" % name)
        totals.explain(lines[-20:])
    if run.returncode:
        totals.fail("%stools/vm: status %d" % (label, run.returncode))
        totals.explain(run.stderr.splitlines()[-40:])
    return totals


def run_tap(name, program):
    run = subprocess.run([TOP + "/" + program], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return read_tap(run.stdout.splitlines(), name, run.returncode)


def run_dart_long():
    """A million random steps and more, of three kinds of DARTs together."""
    run = subprocess.run([BUILD + "/tests/unit/test_dart_random"],
                         env=dict(os.environ, GRANULE_DART_STEPS="400000"),
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True)
    return read_tap(run.stdout.splitlines(), "dart-long", run.returncode)


def run_granule(kernel, granules=("4k", "16k", "64k")):
    """Users of /dev/iommu and of the DMA API behind a virtio IOMMU."""
    totals = Totals()
    common = ["--kernel", kernel, "--iommu", "virtio", "--granule"]
    if "4k" in granules:
        totals.add(run_vm(common + ["4k"],
                          ["caps", "dma", "hwpt", "memory", "bind", "fault",
                           "see", "type1"], "4k"))
    # What two IOMMUs share; the second device gets its own memory only.
    totals.add(run_vm(common + ["16k", "--second-granule", "64k", "--selftest",
                                "--append",
                                "granule_dma.untrusted=0000:02:00.0"],
                      ["two", "share"], "two", qemu=""))
    # Neighbours of a buffer are an untrusted device's matter.
    for granule, untrusted in (("16k", EDU), ("64k", "")):
        if granule not in granules:
            continue
        totals.add(run_vm(common + [granule, "--selftest", "--append",
                                    "granule_dma.untrusted=" + untrusted],
                          ["granule", "option", "buffer", "type1", "huge",
                           "dmaapi"],
                          granule + (" untrusted" if untrusted else "")))
    totals.add(run_vm(["--kernel", kernel, "--iommu", "none", "--selftest",
                       "--no-load"], ["dart"]))
    return totals


def run_dmaapi(kernel):
    """100,000 random scatterlists, of which each kind of device gets a quarter.

    That takes a quarter of an hour where the host is busy; all of them for each
    kind, most of an hour. The seeds differ from run to run.
    """
    totals = Totals()
    for granule in ("16k", "64k"):
        for untrusted in ("", EDU):
            totals.add(run_vm(
                ["--kernel", kernel, "--iommu", "virtio", "--granule", granule,
                 "--selftest", "--silence", "600", "--append",
                 "granule_dma.untrusted=" + untrusted], ["dmaapi-long"],
                granule + (" untrusted" if untrusted else "")))
    return totals


def run_kernel_dma(kernel, *runs):
    """Drivers of the kernel's own behind it; a run is options and tests."""
    totals = Totals()
    for options in runs:
        run = run_patiently([TOP + "/tests/e2e/kernel-dma", "--kernel",
                             kernel, *options], totals)
        name = "kernel-dma " + " ".join(options)
        one = read_tap(run.stdout.splitlines(), name, run.returncode)
        totals.notes.append("%s: %s" % (name, one))
        totals.add(one)
        if one.failed:
            totals.explain(run.stderr.splitlines()[-60:])
    return totals


# What depends on the architecture: memory, DMA, interrupts, and what firmware
# says of devices.
ARM64_4K = ["cmd", "ioas", "placement", "account", "caps", "lasterror", "dma",
            "hwpt", "memory", "bind", "memlock", "vfio", "region", "driver",
            "chaos", "reset", "threads", "kill", "netlink", "fault"]
ARM64_16K = ["granule", "option", "buffer", "type1", "dmaapi"]
ARM64_DISKS = ["--granule", "16k", "--rounds", "6", "--amount", "2",
               "--devices", "nvme,untrusted nvme", "blocked", "work", "rebind",
               "shutdown"]


# Two suites build the same.
CROSS = threading.Lock()


def run_arm64(kernel):
    """QEMU's virt by devicetree and by ACPI, with a kernel of Debian's for it."""
    totals = Totals()
    with CROSS:
        done = subprocess.run([TOP + "/tools/cross"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        totals.fail("tools/cross: " + done.stdout[-2000:])
        return totals
    # Unplugging is tried where it works: see docs/testing.md.
    for firmware, untrusted, more in (("dt", "", ["held"]), ("acpi", EDU, [])):
        machine = ["--arch", "arm64", "--firmware", firmware]
        common = ["--kernel", kernel, *machine, "--granule"]
        totals.add(run_vm(common + ["4k"], ARM64_4K, firmware + " 4k",
                          BUILD + "/arm64"))
        totals.add(run_vm(common + [
            "16k", "--selftest", "--append",
            "granule_dma.untrusted=" + untrusted], ARM64_16K,
            firmware + " 16k", BUILD + "/arm64"))
        totals.add(run_kernel_dma(kernel, machine + ARM64_DISKS + more))
    return totals


# A card of which the host drives one function.
CARD = ("-device pcie-root-port,id=rpt,chassis=7,slot=7,addr=0x18 "
        "-device e1000e,bus=rpt,addr=0.0,multifunction=on "
        "-device edu,bus=rpt,addr=0.1")


def run_doctor():
    """iommuctl doctor on machines with something wrong; what it prints."""
    totals = Totals()
    for name, options in (
            ("none", ["--iommu", "none"]),
            ("off", ["--append", "intel_iommu=off"]),
            ("group", ["--no-load", "--qemu", CARD])):
        run = run_patiently([TOP + "/tools/vm", "--timeout", "600", *options,
                             "--", TOP + "/tests/vm/doctor.py", name], totals)
        one = read_tap(run.stdout.splitlines(), "doctor " + name,
                       run.returncode)
        totals.notes.append("doctor %s: %s" % (name, one))
        totals.notes += [line[2:] for line in run.stdout.splitlines()
                         if line.startswith("# ")]
        totals.add(one)
        if one.failed:
            totals.explain(run.stderr.splitlines()[-40:])
    return totals


def run_readme():
    """README's transcript is what the commands print."""
    totals = Totals()
    run = run_patiently([TOP + "/tests/e2e/first_minutes.py"], totals)
    totals.add(read_tap(run.stdout.splitlines(), "first minutes",
                        run.returncode))
    if totals.failed:
        totals.explain(run.stderr.splitlines()[-40:])
    return totals


# The whole is for --all, and 64K. Unplugging differs little between kernels, and
# takes long.
KERNEL_DMA_LATE = ["--granule", "16k", "late", "shutdown"]
KERNEL_DMA_6_12 = (
    ["--granule", "16k", "--rounds", "8", "blocked", "work", "rebind",
     "hotplug", "held", "shutdown"],
    KERNEL_DMA_LATE,
)
KERNEL_DMA_6_1 = (
    ["--granule", "16k", "--rounds", "8", "blocked", "work", "rebind",
     "shutdown"],
    KERNEL_DMA_LATE,
)
# On both kernels; late at 16K is above.
KERNEL_DMA_ALL = (
    ["--granule", "16k"],
    ["--granule", "64k", "late", "shutdown"],
)
KERNEL_DMA_LONG = (
    ["--granule", "4k"],
    ["--granule", "16k", "--rounds", "100", "--plugs", "10", "--amount", "8"],
    ["--granule", "64k", "--rounds", "100", "--plugs", "10", "--amount", "8"],
)


def run_system(kernel, *names):
    """iommud as a service of a booted system."""
    run = run_patiently([TOP + "/tests/daemon/system-vm", "--kernel", kernel,
                         *names], totals := Totals())
    totals.add(read_tap(run.stdout.splitlines(), "system", run.returncode))
    if totals.failed:
        totals.explain(run.stderr.splitlines()[-40:])
    return totals


def run_fail(options):
    """Every failure point of a sequence in turn, by our own injection."""
    return run_vm(["--selftest", *options], ["fail"])


# Besides the one that is always there; each is a group of its own.
MORE_EDU = "".join("-device edu,addr=0x%x " % slot for slot in range(0x11, 0x18))


def run_handoff(kernel):
    """Hundreds of cycles and crowds of clients of iommud."""
    return run_vm(["--kernel", kernel, "--qemu", MORE_EDU, "--timeout", "3600",
                   "--silence", "900"], ["handoff-long"])


def run_debug():
    done = subprocess.run([TOP + "/tools/debug-kernel"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        totals = Totals()
        totals.fail("tools/debug-kernel: " + done.stdout[-2000:])
        return totals
    kernel = ["--kernel", CACHE + "/debug-6.12"]
    # It has no KVM.
    totals = run_vm(kernel, [n for n in VM_6_12
                             if n not in ("kvm", "recipes")])
    totals.add(run_vm(kernel + ["--iommu", "virtio", "--granule", "16k",
                                "--selftest", "--append",
                                "granule_dma.untrusted=" + EDU],
                      ["granule", "option", "buffer", "type1", "dmaapi"],
                      "16k"))
    # Not dart: its test describes devices without the core's probe lock, which
    # modules cannot take, and the kernel warns of that.
    totals.add(run_fail(kernel))
    return totals


def run_upstream():
    """iommuctl on a kernel that has an iommufd of its own."""
    totals = Totals()
    done = subprocess.run([TOP + "/tools/debug-kernel", "--upstream"],
                          text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        totals.fail("tools/debug-kernel --upstream: " + done.stdout[-2000:])
        return totals
    run = run_patiently([TOP + "/tools/vm", "--kernel",
                         CACHE + "/upstream-6.12", "--no-modules",
                         "--timeout", "600", "--",
                         TOP + "/tests/vm/upstream.sh"], totals)
    totals.add(read_tap(run.stdout.splitlines(), "upstream", run.returncode))
    if totals.failed:
        totals.explain(run.stderr.splitlines()[-40:])
    return totals


# What depends on the kernel; unload is the last. 6.12 has the rest, too.
VM_6_1 = ["cmd", "ioas", "placement", "account", "ioas_model", "caps",
          "lasterror", "dma", "hwpt", "memory", "bind", "memlock", "granule",
          "option", "buffer", "vfio", "region", "driver", "chaos", "kvm",
          "reset", "threads", "kill", "netlink", "daemon", "handoff", "e2e",
          "see", "unload"]
VM_6_12 = VM_6_1[:-1] + ["cli", "cli-granule", "recipes", "unload"]
SYSTEM_6_1 = ["boot", "vmm", "sandbox", "restart"]
SYSTEM_6_12 = SYSTEM_6_1 + ["in_use", "edit", "clients", "hotplug"]

# name: (in the default run, function, arguments). Two run at a time; long ones
# come first, so that both end at about the same time.
SUITES = {
    "unit": (True, run_meson, ["unit"]),
    "fuzz": (True, run_meson, ["fuzz"]),
    "cli": (True, run_meson, ["cli"]),
    "daemon": (True, run_meson, ["daemon"]),
    "packaging": (True, run_meson, ["packaging"]),
    "style": (True, run_meson, ["style"]),
    "vm-6.12": (True, run_vm, [["--kernel", "6.12"], VM_6_12]),
    "vm-6.1": (True, run_vm, [["--kernel", "6.1"], VM_6_1]),
    "granule-6.12": (True, run_granule, ["6.12"]),
    "granule-6.1": (True, run_granule, ["6.1", ("16k",)]),
    "kernel-dma-6.12": (True, run_kernel_dma, ["6.12", *KERNEL_DMA_6_12]),
    "kernel-dma-6.1": (True, run_kernel_dma, ["6.1", *KERNEL_DMA_6_1]),
    "fail-6.12": (True, run_fail, [["--kernel", "6.12"]]),
    "fail-6.1": (True, run_fail, [["--kernel", "6.1"]]),
    "system-6.12": (True, run_system, ["6.12", *SYSTEM_6_12]),
    "system-6.1": (True, run_system, ["6.1", *SYSTEM_6_1]),
    "doctor": (True, run_doctor, []),
    "readme": (True, run_readme, []),
    "cli-6.1": (False, run_vm, [["--kernel", "6.1"], ["cli", "cli-granule"]]),
    "granule-6.1-all": (False, run_granule, ["6.1"]),
    "system-6.12-all": (False, run_system, ["6.12"]),
    "system-6.1-all": (False, run_system, ["6.1"]),
    "kernel-dma-long-6.12": (False, run_kernel_dma,
                             ["6.12", *KERNEL_DMA_ALL, *KERNEL_DMA_LONG]),
    "kernel-dma-long-6.1": (False, run_kernel_dma,
                            ["6.1", *KERNEL_DMA_ALL, ["--granule", "64k"]]),
    "dart-long": (False, run_dart_long, []),
    "vm-tool": (False, run_tap, ["tools/vm", "tests/vm/test-vm.sh"]),
    "packages": (False, run_tap, ["packages", "tests/packaging/deb.sh"]),
    "dmaapi-6.12": (False, run_dmaapi, ["6.12"]),
    "dmaapi-6.1": (False, run_dmaapi, ["6.1"]),
    "handoff-6.12": (False, run_handoff, ["6.12"]),
    "handoff-6.1": (False, run_handoff, ["6.1"]),
    "arm64-6.12": (False, run_arm64, ["6.12"]),
    "arm64-6.1": (False, run_arm64, ["6.1"]),
    "debug": (False, run_debug, []),
    "upstream": (False, run_upstream, []),
}


def main():
    parser = argparse.ArgumentParser(prog="tools/test", description="Run "
                                     "Granule's tests; all of its own set-up "
                                     "included.")
    parser.add_argument("--suite", action="append", choices=SUITES,
                        help="run this suite; may be repeated (default: all "
                        "but " + " and ".join(n for n in SUITES
                                              if not SUITES[n][0]) + ")")
    parser.add_argument("--all", action="store_true", help="run every suite")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="show the totals of each program, and skips")
    args = parser.parse_args()
    names = args.suite or [n for n in SUITES if args.all or SUITES[n][0]]
    total = Totals()

    # Meson's log is one file, so its suites take turns; others get along.
    meson = [n for n in names if SUITES[n][1] is run_meson]
    turns = [meson] + [[n] for n in names if n not in meson]

    lock = threading.Lock()

    def report(name, totals, seconds):
        total.add(totals)
        print("%-20s %s (%d s)" % (name, totals, seconds), flush=True)
        for note in totals.notes:
            if args.verbose or totals.failed or "skipped:" in note:
                print("    " + note.replace("\n", "\n    "), flush=True)

    def run(turn):
        for name in turn:
            start = time.time()
            totals = SUITES[name][1](*SUITES[name][2])
            with lock:
                report(name, totals, time.time() - start)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(run, turns))
    for line in total.failures:
        print("failed: " + line.replace("\n", "\n        "))
    print(total)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
