# SPDX-License-Identifier: GPL-2.0-only
"""Devices under test, all by one interface, whatever they are."""

import os
import signal
import sys

import disk
import net
from machine import wait


class Subject:
    """A PCI device with a driver of the kernel's own."""

    driver = None		# its name
    modules = ()		# what to load
    quiet = True		# idle, it has the same mapped as before
    lists = False		# its driver maps lists, not single buffers

    def __init__(self, name, device, qemu, trusted=True):
        self.name = name
        self.device = device	# a function that finds it: it may be replaced
        self.qemu = qemu	# [(driver, id, properties)] to plug it again
        self.trusted = trusted
        self.busy = None

    def counters(self):
        return self.device().counters()

    def mapped(self):
        return self.counters().get("mapped_granules", 0)

    def appear(self):
        """Wait until it can be used."""

    def idle(self):
        """Have it do nothing, and hold what it holds when it does nothing."""

    def work(self, amount):
        """Yields (what, what was wrong or None); amount 1 is little."""
        raise NotImplementedError

    def load(self):
        """What a child process does without end."""
        raise NotImplementedError

    def start_load(self):
        self.busy = os.fork()
        if not self.busy:
            status = 1
            try:
                self.load()
            except OSError:
                status = 0	# the device went: that is how it ends
            finally:
                sys.stdout.flush()
                os._exit(status)

    def stop_load(self):
        pid, self.busy = self.busy, None
        if not pid:
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)

    def unbind(self):
        self.device().unbind()

    def bind(self):
        self.device().bind(self.driver)


class Disk(Subject):
    lists = True
    pattern = None		# of the block device below the PCI device
    unit = 512		# pieces of memory for a transfer are multiples of it

    def __init__(self, name, device, qemu, reference, trusted=True):
        super().__init__(name, device, qemu, trusted)
        self.reference = reference	# SHA-256 of what it had at first
        self.written = False
        self.writes = True	# its load writes

    def node(self):
        return disk.find(self.device(), self.pattern)

    def appear(self):
        self.node()

    def work(self, amount):
        node = self.node()
        if not self.written:
            digest = disk.sha256(node)
            yield "all of the disk is what the host put there", \
                None if digest == self.reference else "SHA-256 differs"
        self.written = True
        yield "random writes read back, odd lengths and addresses", \
            disk.random_io(node, amount, 150 * amount, self.unit)
        if amount > 1:
            yield "ext4 made, filled, checked, read back", \
                disk.file_system(node, amount, disk.size(node) // 3)

    def load(self):
        disk.keep_busy(self.node(), self.writes)

    def start_load(self):
        self.written = self.written or self.writes
        super().start_load()


class Nvme(Disk):
    driver = "nvme"
    modules = ("nvme", "ext4")
    pattern = "nvme/nvme*/nvme*n*"


class Usb(Disk):
    driver = "xhci_hcd"
    modules = ("xhci_pci", "usb_storage", "sd_mod", "ext4")
    pattern = "usb*/*/*/host*/target*/*/block/*"

    def __init__(self, *args):
        super().__init__(*args)
        # xhci writes to memory that is mapped for the device when a piece is
        # not a multiple of its largest packet: docs/granule.md.
        if not self.trusted:
            self.unit = 1024


class Card(Subject):
    driver = "e1000e"
    modules = ("e1000e",)

    def __init__(self, name, device, qemu, address, trusted=True):
        super().__init__(name, device, qemu, trusted)
        self.address = address
        self.card = None

    def appear(self):
        self.card = net.Card(self.device(), self.address)
        self.card.find()

    def idle(self):
        # Its receive buffers lie in one granule or two, as it happens.
        self.card.down()

    def work(self, amount):
        card = self.card
        card.up()
        yield "ping of 0 to 1472 bytes, and in fragments", \
            net.in_child(card.ping, (0, 1, 18, 64, 700, 1471, 1472, 4000, 0))
        yield "small messages there and back", card.echo(50 * amount, amount)
        size = (3 << 20) * amount + 12345
        yield "%d MiB sent" % (size >> 20), card.put(size)
        yield "%d MiB received" % (size >> 20), card.get(size)

    def load(self):
        self.card.up()
        net.keep_busy(self.card)


class PciCard(Card):
    driver = "e1000"
    modules = ("e1000",)


def settle(subject, seconds=10.0):
    """Its mapped granules once they do not change any more."""
    last = [subject.mapped(), 0]

    def same():
        now = subject.mapped()
        last[1] = last[1] + 1 if now == last[0] else 0
        last[0] = now
        return last[1] >= 10

    wait(same, seconds)
    return last[0]
