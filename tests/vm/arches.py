# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of machines that tools/vm boots, and what is different of them."""

import re

EDU = "edu,dma_mask=0xffffffffff,"


def pci_devices(options):
    """An IOMMU for the main bus, and an edu on it."""
    words = []
    if options.iommu == "intel":
        words += ["-device", "intel-iommu,intremap=on,caching-mode=on"]
    elif options.iommu == "virtio":
        bypass = "on" if options.boot_bypass else "off"
        words += ["-device", f"virtio-iommu-pci,bus=pcie.0,"
                  f"granule={options.granule},boot-bypass={bypass}"]
    return words + ["-device", EDU + "addr=0x10,bus=pcie.0"]


class Amd64:
    """A PC."""

    name = "amd64"
    suffix = ""                 # of its kernels' names in the cache
    build = ""                  # where in the build directory its build is
    qemu = "qemu/bin/qemu-system-x86_64"
    iommus = ("intel", "virtio", "none")
    serial = "/dev/ttyS"
    arguments = ("no_timer_check",)     # for the kernel
    boot_modules = ("virtio_mmio",)
    files = None                # in the cache: laid over the host's /
    done = (0x10 << 1) | 1      # QEMU's status when PID 1 has ended well
    without = ()                # options of tools/vm
    strip = "strip"
    unpacks = True              # QEMU starts what is in the kernel's image

    def compiler(self, cache):
        return ["gcc"]

    def cpus(self, options):
        if options.icount:
            return ["-accel", "tcg,thread=single", "-icount",
                    "shift=0,sleep=off", "-smp", "1",
                    # Repeated string instructions count once per iteration.
                    "-cpu", "max,erms=off,fsrm=off,fsrs=off,fzrm=off"]
        return ["-accel", "tcg,thread=multi", "-smp", "2", "-cpu", "max"]

    def machine(self, options, cache):
        """QEMU's options for the board, its CPUs and its firmware."""
        return self.cpus(options) + [
            "-machine", "q35,kernel-irqchip=split,sata=off",
            # The firmware would wait for disks that the IOMMU blocks.
            "-boot", "strict=on",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]

    def devices(self, options):
        """The IOMMU and edu."""
        return pci_devices(options)

    def transports(self, options, tags):
        """Devices for 9p not behind the IOMMU: QEMU's options, each's own.

        Without a driver for the IOMMU nothing behind it is probed.
        """
        # Kicks that are served by the CPU that makes them are lost less often
        # than those that go by way of an event of the main loop.
        device = "virtio-9p-pci,ioeventfd=off,bus="
        if options.iommu != "virtio":
            return [], [device + "pcie.0"] * len(tags)
        words = ["-device", "pxb-pcie,id=aside,bus_nr=0x80,bypass_iommu=on"]
        for slot, tag in enumerate(tags):
            words += ["-device", f"pcie-root-port,bus=aside,id={tag}-port,"
                      f"chassis={0x80 + slot}"]
        return words, [f"{device}{tag}-port" for tag in tags]


class TwoIommus(Amd64):
    """A microvm: a PC refuses a second IOMMU. Here they are not on PCI."""

    without = ("icount", "system")
    unpacks = False             # its firmware then says nothing of ACPI

    @property
    def arguments(self):
        # There is no clock by which Linux could find out. It is the host's.
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            found = re.search(r"^cpu MHz\s*: (\d+)", f.read(), re.M)
        mhz = found[1] if found else 2000
        return (*super().arguments, f"tsc_early_khz={mhz}000", "tsc=reliable")

    def machine(self, options, cache):
        return self.cpus(options) + [
            "-machine", "microvm,acpi=on,pcie=on,rtc=on",
            "-global", "virtio-mmio.force-legacy=off",
            "-global", "virtio-mmio.ioeventfd=off",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]

    def devices(self, options):
        """An edu behind each of two ports, each of which has an IOMMU."""
        words = []
        bypass = "on" if options.boot_bypass else "off"
        for number, granule in enumerate((options.granule,
                                          options.second_granule)):
            port = f"port{number}"
            words += ["-device", f"pcie-root-port,id={port},"
                      f"chassis={number + 1},addr={4 + number}",
                      "-device", f"{EDU}bus={port}",
                      "-device", f"virtio-iommu-device,granule={granule},"
                      f"primary-bus=/machine/peripheral/{port}/{port},"
                      f"boot-bypass={bypass}"]
        return words

    def transports(self, options, tags):
        return [], ["virtio-9p-device"] * len(tags)


class Arm64:
    """QEMU's board "virt", described by a devicetree or by ACPI."""

    name = "arm64"
    suffix = "-arm64"
    build = "/arm64"
    qemu = "qemu-arm64/bin/qemu-system-aarch64"
    iommus = ("virtio", "none")
    serial = "/dev/ttyAMA"
    arguments = ()
    boot_modules = ("virtio_mmio",)
    files = "arm64/root"
    done = 0                    # power off: there is no port for statuses
    without = ("icount", "system")
    strip = "aarch64-linux-gnu-strip"
    unpacks = False

    def compiler(self, cache):
        return ["aarch64-linux-gnu-gcc", f"--sysroot={cache}/{self.files}"]

    def machine(self, options, cache):
        acpi = options.firmware == "acpi"
        words = ["-accel", "tcg,thread=multi", "-smp", "2",
                 "-cpu", "cortex-a57", "-machine",
                 "virt,gic-version=3,acpi=" + ("on" if acpi else "off"),
                 "-global", "virtio-mmio.force-legacy=off"]
        if acpi:
            words += ["-bios", cache + "/qemu-arm64/root/usr/share/"
                      "qemu-efi-aarch64/QEMU_EFI.fd"]
        return words

    def devices(self, options):
        return pci_devices(options)

    def transports(self, options, tags):
        """Beside PCI, where nothing is behind the IOMMU."""
        return [], ["virtio-9p-device"] * len(tags)


TWO_IOMMUS = TwoIommus()
ARCHES = {arch.name: arch for arch in (Amd64(), Arm64())}
