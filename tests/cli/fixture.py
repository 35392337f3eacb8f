#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make a tree of /sys and /dev files from a short description.

usage: fixture.py DESCRIPTION DIRECTORY

One line of the description is one of
  device ADDRESS VENDOR:DEVICE CLASS [KEY=VALUE]...
      driver, override, group, iommu, reset, numa, vfio; node=no: a vfio
      device without a node; modalias=no: no such file
  group NUMBER TYPE [START-LAST:REASON]...
  driver NAME
  virtio-iommu ADDRESS: an IOMMU that is a virtio device on PCI
  dma GROUP KEY=VALUE...: what granule-dma shows of a group
  file PATH [TEXT]
Blanks in values are written as "+".
"""

import os
import sys


class Tree:
    def __init__(self, root):
        self.root = root

    def write(self, path, text=""):
        path = f"{self.root}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    def link(self, path, target):
        """A relative link, as in sysfs; target is a path in the tree."""
        path = f"{self.root}/{path}"
        target = f"{self.root}/{target}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.makedirs(target, exist_ok=True)
        os.symlink(os.path.relpath(target, os.path.dirname(path)), path)

    def add_device(self, address, ids, class_, *settings):
        given = dict(s.replace("+", " ").split("=", 1) for s in settings)
        real = f"sys/devices/pci{address[:7]}/{address}"
        vendor, device = ids.split(":")
        self.write(f"{real}/vendor", f"0x{vendor}\n")
        self.write(f"{real}/device", f"0x{device}\n")
        self.write(f"{real}/class", f"0x{class_}\n")
        if given.get("modalias") != "no":
            ids_, kind = (vendor.upper(), device.upper()), class_.upper()
            self.write(f"{real}/modalias",
                       f"pci:v0000{ids_[0]}d0000{ids_[1]}sv00001AF4sd00001100"
                       f"bc{kind[:2]}sc{kind[2:4]}i{kind[4:]}\n")
        self.write(f"{real}/revision", "0x10\n")
        self.write(f"{real}/numa_node", given.get("numa", "-1") + "\n")
        self.write(f"{real}/driver_override",
                   given.get("override", "(null)") + "\n")
        if "reset" in given:
            self.write(f"{real}/reset_method", given["reset"] + "\n")
        self.link(f"sys/bus/pci/devices/{address}", real)
        if "driver" in given:
            driver = f"sys/bus/pci/drivers/{given['driver']}"
            self.write(f"{driver}/unbind")
            self.write(f"{driver}/bind")
            self.link(f"{real}/driver", driver)
        if "group" in given:
            group = f"sys/kernel/iommu_groups/{given['group']}"
            self.link(f"{real}/iommu_group", group)
            self.link(f"{group}/devices/{address}", real)
        if "iommu" in given:
            self.link(f"{real}/iommu",
                      f"sys/devices/virtual/iommu/{given['iommu']}")
        if "vfio" in given:
            name = given["vfio"]
            self.link(f"sys/class/vfio-dev/{name}", f"{real}/vfio-dev/{name}")
            if given.get("node") != "no":
                self.write(f"{real}/vfio-dev/{name}/dev", "511:0\n")
                self.write(f"dev/vfio/devices/{name}")

    def add_group(self, number, kind, *regions):
        group = f"sys/kernel/iommu_groups/{number}"
        self.write(f"{group}/type", kind + "\n")
        lines = []
        for region in regions:
            span, reason = region.split(":")
            start, last = (int(x, 16) for x in span.split("-"))
            lines.append(f"0x{start:016x} 0x{last:016x} {reason}\n")
        self.write(f"{group}/reserved_regions", "".join(lines))

    def add_driver(self, name):
        self.write(f"sys/bus/pci/drivers/{name}/bind")
        self.write(f"sys/bus/pci/drivers/{name}/unbind")

    def add_virtio_iommu(self, address):
        real = f"sys/devices/pci{address[:7]}/{address}"
        iommu = f"{real}/virtio0/iommu/{address}"
        self.link(f"sys/class/iommu/{address}", iommu)
        self.link(f"sys/devices/virtual/iommu/{address}", iommu)
        self.link(f"{iommu}/device", f"{real}/virtio0")
        self.link(f"{real}/virtio0/driver",
                  "sys/bus/virtio/drivers/granule_virtio_iommu")
        self.write(f"{iommu}/granule-virtio-iommu/granule", "16384\n")
        self.write(f"{iommu}/granule-virtio-iommu/endpoints",
                   "0000:00:03.0 0x18 user 0\n0000:00:04.0 0x20 kernel 7\n")

    def add_dma(self, group, *settings):
        for setting in settings:
            key, value = setting.split("=")
            self.write(f"sys/kernel/granule-dma/{group}/{key}", value + "\n")

    def add_file(self, path, *text):
        self.write(path, " ".join(text).replace("+", " ")
                   .replace("\\n", "\n").replace("\\t", "\t"))


def build(description, root):
    tree = Tree(root)
    tree.write("sys/bus/pci/drivers_probe")
    os.makedirs(f"{root}/sys/bus/pci/devices", exist_ok=True)
    with open(description, encoding="ascii") as f:
        for line in f:
            words = line.split()
            if words and not words[0].startswith("#"):
                getattr(tree, "add_" + words[0].replace("-", "_"))(*words[1:])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build(sys.argv[1], sys.argv[2])
