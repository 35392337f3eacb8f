# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's monitor, which tools/vm --qmp puts on a serial line of the guest."""

import json
import os
import select
import termios
import time


class QmpError(Exception):
    """What QEMU answered, or that it did not."""


class Qmp:
    def __init__(self, path=None):
        path = path or os.environ.get("GRANULE_QMP")
        if not path:
            raise QmpError("no GRANULE_QMP: start with tools/vm --qmp")
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        raw = termios.tcgetattr(self.fd)
        raw[0] = raw[1] = raw[3] = 0
        raw[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(self.fd, termios.TCSANOW, raw)
        self.pending = b""
        self.number = 0
        # The line echoed the greeting, or a part of it; 0xff ends all that.
        os.write(self.fd, b"\xff\n")
        self.call("qmp_capabilities")

    def message(self, seconds):
        """The next message, or None if none comes in that time."""
        end = time.monotonic() + seconds
        while True:
            line, newline, rest = self.pending.partition(b"\n")
            if newline:
                self.pending = rest
                try:
                    return json.loads(line)
                except ValueError:
                    continue
            left = max(end - time.monotonic(), 0)
            if not select.select([self.fd], [], [], left)[0]:
                return None
            self.pending += os.read(self.fd, 4096)

    def call(self, command, **arguments):
        self.number += 1
        data = json.dumps({"execute": command, "id": self.number,
                           "arguments": arguments}).encode() + b"\n"
        while data:
            data = data[os.write(self.fd, data):]
        while True:
            message = self.message(120)
            if message is None:
                raise QmpError("%s: no answer" % command)
            if message.get("id") == self.number:
                if "error" in message:
                    raise QmpError("%s: %s"
                                   % (command, message["error"]["desc"]))
                return message["return"]

    def has(self, device):
        return any(child["name"] == device for child in
                   self.call("qom-list", path="/machine/peripheral"))

    def unplug(self, device, seconds=120.0):
        """Ask the guest to let a device go; whether it did."""
        self.call("device_del", id=device)
        end = time.monotonic() + seconds
        while self.has(device):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def plug(self, driver, device, **properties):
        end = time.monotonic() + 60
        while True:
            try:
                self.call("device_add", driver=driver, id=device,
                          **properties)
                return
            except QmpError as error:
                # The one before it holds the disk until its last I/O is done.
                if "Permission conflict" not in str(error) or \
                        time.monotonic() > end:
                    raise
            time.sleep(0.1)
