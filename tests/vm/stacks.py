# SPDX-License-Identifier: GPL-2.0-only
"""What a virtual machine that stands still is doing.

The kernel is asked over its console, by a break and a SysRq letter: 9 to have
all of it printed, w for the tasks that wait for ever, l for the CPUs' stacks, t
for those of all tasks.
"""

import json
import os
import re
import socket
import time

LETTERS = "9wlt"


def arguments(directory):
    """Of QEMU: the console, which reads from a pipe, and a monitor."""
    quoted = directory.replace(",", ",,")
    os.mkfifo(directory + "/console.in")
    return ["-chardev", f"file,id=log,path={quoted}/console.log,"
            f"input-path={quoted}/console.in",
            "-serial", "chardev:log",
            "-chardev", f"socket,id=monitor,path={quoted}/monitor,"
            "server=on,wait=off", "-mon", "chardev=monitor,mode=control"]


def open_input(directory):
    """To be open while QEMU runs: it waits for a writer when it starts."""
    return os.open(directory + "/console.in", os.O_RDWR | os.O_NONBLOCK)


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.file = self.socket.makefile("rwb")
        self.file.readline()
        self.call("qmp_capabilities")

    def call(self, command, **given):
        data = json.dumps({"execute": command, "arguments": given})
        self.file.write(data.encode() + b"\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline() or '{"error": "closed"}')
            if "event" not in answer:
                return answer.get("return", answer.get("error"))


def queues(monitor):
    """Where the file servers and the guest are: whose turn is it?"""
    told = []
    devices = monitor.call("x-query-virtio")
    for device in devices if isinstance(devices, list) else []:
        if device["name"] != "virtio-9p":
            continue
        at = {"path": device["path"], "queue": 0}
        status = monitor.call("x-query-virtio-queue-status", **at)
        ring = monitor.call("x-query-virtio-queue-element", **at)
        told.append("9p: guest asked %s, QEMU took %s, answered %s" % (
            ring.get("avail", {}).get("idx"), status.get("last-avail-idx"),
            ring.get("used", {}).get("idx")))
    return told


TASK = re.compile(r"\] task:(\S+) +state:(\w)")


def without_idle(lines):
    """Leave the kernel's own threads out that wait for work."""
    kept, block = [], []
    for line in lines + ["] task:end state:"]:
        if "] task:" not in line and "sysrq: " not in line:
            block.append(line)
            continue
        task = TASK.search(block[0]) if block else None
        if not task or task[2] in "RD" or \
                any("do_syscall" in entry or "el0_svc" in entry
                    for entry in block):
            kept += block
        block = [line]
    return kept


def settled(path, seconds):
    """Wait until a file has stopped growing."""
    end, size = time.monotonic() + seconds, -1
    while time.monotonic() < end and size != os.path.getsize(path):
        size = os.path.getsize(path)
        time.sleep(1)


def nudge(directory):
    """Stop all CPUs, and let them go on: each looks for interrupts then."""
    try:
        monitor = Monitor(directory + "/monitor")
        monitor.call("stop")
        monitor.call("cont")
    except (OSError, ValueError):
        pass            # it is about to end, or nothing helps


def ask(directory, console_in):
    """Have the kernel tell its tasks in its log. Returns QEMU's own words."""
    try:
        monitor = Monitor(directory + "/monitor")
        registers = monitor.call("human-monitor-command",
                                 **{"command-line": "info registers -a"})
        told = [line for line in str(registers).splitlines()
                if line.startswith(("CPU#", "RIP=", "EIP=", " PC="))]
        told += queues(monitor)
        for letter in LETTERS:
            monitor.call("chardev-send-break", id="log")
            time.sleep(0.2)
            os.write(console_in, letter.encode())
            settled(directory + "/console.log", 60)
    except (OSError, ValueError) as error:
        return [f"QEMU's monitor does not answer: {error}"]
    return told
