#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Run suites of tests and add up their totals. tools/test calls this."""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BUILD = os.path.abspath(os.environ.get("GRANULE_BUILD", TOP + "/build"))
CACHE = os.environ.get("GRANULE_CACHE", "/var/cache/granule")

# A bus that can be reset, with two functions on it that are one IOMMU group.
PORT = ("-device pcie-root-port,id=rpt,chassis=7,slot=7,addr=0x18 "
        "-device edu,bus=rpt,addr=0.0,multifunction=on "
        "-device edu,bus=rpt,addr=0.1")


LOST_TIMER = "kthread timer wakeup didn't happen"


class Totals:
    """Passed, failed and skipped tests, and lines worth showing."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def fail(self, note):
        self.failed += 1
        self.notes.append(note)

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
                totals.fail("%s: %s" % (name, line.strip()))
                totals.notes += ["    " + t for t in trouble[-12:]]
            else:
                totals.passed += 1
            trouble = []
        elif line.startswith("#") and "RUN" not in line:
            trouble.append(line.rstrip())
    if plan is None or plan != seen:
        totals.fail("%s: plan of %s tests, %d seen" % (name, plan, seen))
    elif status and not totals.failed:
        totals.fail("%s: status %d" % (name, status))
    return totals


def run_meson(suite):
    """A suite of meson's; each subtest counts."""
    totals = Totals()
    log = BUILD + "/meson-logs/testlog.junit.xml"
    if os.path.exists(log):
        os.unlink(log)
    run = subprocess.run(["meson", "test", "-C", BUILD, "--no-rebuild",
                          "--suite", suite, "--print-errorlogs"],
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
        totals.notes.append(run.stdout)
    return totals


def run_vm(options, names=()):
    """Programs in the VM; one whose kernel complains fails as a whole."""
    totals = Totals()
    command = [TOP + "/tools/vm", "--timeout", "1500", *options, "--qemu", PORT,
               "--", TOP + "/tests/vm/all.sh", BUILD, *names]
    for attempt in (1, 2):
        run = subprocess.run(command, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True,
                             errors="replace")
        # QEMU lost a timer of an idle CPU: nothing that a module could do.
        if attempt == 2 or LOST_TIMER not in run.stderr:
            break
        totals.notes.append("tried again: the virtual machine lost a timer (%s)"
                            % LOST_TIMER)
    name, lines = None, []
    for line in run.stdout.splitlines():
        if line.startswith("# program: "):
            name, lines = line.split(": ")[1], []
        elif line.startswith("# status: "):
            one = read_tap(lines, name, int(line.split(": ")[1]))
            totals.add(one)
            totals.notes += ["%s: %s" % (name, one)] + one.notes
            name = None
        else:
            lines.append(line)
    if name:
        totals.fail("%s: did not end" % name)
        totals.notes += lines[-20:]
    if run.returncode:
        totals.fail("tools/vm: status %d" % run.returncode)
        totals.notes += run.stderr.splitlines()[-40:]
    return totals


def run_vm_tool():
    run = subprocess.run([TOP + "/tests/vm/test-vm.sh"], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return read_tap(run.stdout.splitlines(), "tools/vm", run.returncode)


def run_fail(options):
    """Every failure point of a sequence in turn, by our own injection."""
    return run_vm(["--selftest", *options], ["fail"])


def run_debug():
    done = subprocess.run([TOP + "/tools/debug-kernel"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        totals = Totals()
        totals.fail("tools/debug-kernel: " + done.stdout[-2000:])
        return totals
    return run_vm(["--kernel", CACHE + "/debug-6.12"])


# name: (in the default run, function, arguments)
SUITES = {
    "unit": (True, run_meson, ["unit"]),
    "fuzz": (True, run_meson, ["fuzz"]),
    "cli": (True, run_meson, ["cli"]),
    "style": (True, run_meson, ["style"]),
    "vm-6.12": (True, run_vm, [["--kernel", "6.12"]]),
    "vm-6.1": (True, run_vm, [["--kernel", "6.1"]]),
    "fail-6.12": (True, run_fail, [["--kernel", "6.12"]]),
    "fail-6.1": (True, run_fail, [["--kernel", "6.1"]]),
    "vm-tool": (False, run_vm_tool, []),
    "debug": (False, run_debug, []),
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

    def run(name):
        start = time.time()
        totals = SUITES[name][1](*SUITES[name][2])
        return totals, time.time() - start

    # Meson's log is one file; virtual machines get along.
    meson = [n for n in names if SUITES[n][1] is run_meson]
    others = [n for n in names if n not in meson]
    results = {}

    def report(name, totals, seconds):
        results[name] = totals
        total.add(totals)
        print("%-10s %s (%d s)" % (name, totals, seconds), flush=True)
        for note in totals.notes:
            if args.verbose or totals.failed or "skipped:" in note:
                print("    " + note.replace("\n", "\n    "), flush=True)

    for name in meson:
        report(name, *run(name))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        todo = {pool.submit(run, name): name for name in others}
        for done in concurrent.futures.as_completed(todo):
            report(todo[done], *done.result())
    print("%d passed, %d failed, %d skipped" % (total.passed, total.failed,
                                                total.skipped))
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
