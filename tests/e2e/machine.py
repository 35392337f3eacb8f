# SPDX-License-Identifier: GPL-2.0-only
"""The machine from inside: PCI devices, Granule's counters, the kernel's log."""

import glob
import os
import subprocess
import time

PCI = "/sys/bus/pci/"
COUNTERS = "/sys/kernel/granule-dma/"


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read().strip()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def wait(what, seconds=120.0, step=0.02):
    """What what() returns as soon as it is true; or the last false thing."""
    end = time.monotonic() + seconds
    while True:
        result = what()
        if result or time.monotonic() > end:
            return result
        time.sleep(step)


def modprobe(*names):
    subprocess.run(["modprobe", "-a", "--", *names], check=True)


def loaded(name):
    return os.path.exists("/sys/module/" + name.replace("-", "_"))


def log():
    """The kernel's log, a list of lines without their time stamps."""
    run = subprocess.run(["dmesg", "-t"], stdout=subprocess.PIPE, text=True,
                         errors="replace", check=True)
    return run.stdout.splitlines()


class Device:
    """A PCI device by its address."""

    def __init__(self, address):
        self.address = address

    def __str__(self):
        return self.address

    @property
    def path(self):
        return PCI + "devices/" + self.address

    def exists(self):
        return os.path.exists(self.path)

    @property
    def id(self):
        return read(self.path + "/vendor"), read(self.path + "/device")

    @property
    def driver(self):
        """The driver's name, or None."""
        link = self.path + "/driver"
        return os.path.basename(os.readlink(link)) if os.path.exists(link) \
            else None

    @property
    def group(self):
        """The IOMMU group's number, or None."""
        link = self.path + "/iommu_group"
        return int(os.path.basename(os.readlink(link))) \
            if os.path.exists(link) else None

    def unbind(self):
        write(self.path + "/driver/unbind", self.address)

    def bind(self, driver):
        write(PCI + "drivers/" + driver + "/bind", self.address)

    def override(self, driver):
        """Bind to that driver, which does not know such devices."""
        write(self.path + "/driver_override", driver)
        self.bind(driver)

    def release(self):
        """No driver, and no override."""
        if self.driver:
            self.unbind()
        write(self.path + "/driver_override", "\n")

    def children(self, pattern):
        """Files below the device, such as block/*."""
        return sorted(glob.glob(self.path + "/" + pattern))

    def counters(self):
        """Granule's counters of the device's group; {} if there are none."""
        group = self.group
        if group is None or not os.path.isdir(COUNTERS + str(group)):
            return {}
        return {name: int(read("%s%d/%s" % (COUNTERS, group, name)))
                for name in os.listdir(COUNTERS + str(group))}


def devices():
    return [Device(name) for name in sorted(os.listdir(PCI + "devices"))]


class Skip(Exception):
    """Why a test cannot run here."""
