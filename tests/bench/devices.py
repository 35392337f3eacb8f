#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""How long iommuctl takes on a large machine: a tree of made-up devices.

usage: devices.py [--devices N] [--runs N] [IOMMUCTL]

Makes a tree like /sys of N devices (default 2000) in groups of one and two,
half of them bound to vfio-pci, and a pci.ids as long as the real one, and runs some verbs on it. Prints the least and the median time
of each, of the whole process, the time on the CPU, which other work on the
machine changes less, and the calls of the kernel it makes where strace is
there. Nothing fails for being slow.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))
sys.path.insert(0, TOP + "/tests/cli")
import fixture  # noqa: E402

BUILD = os.environ.get("GRANULE_BUILD", TOP + "/build")
KINDS = (("8086:10fb", "020000", "ixgbe"), ("144d:a808", "010802", "nvme"),
         ("10de:1b80", "030000", "nouveau"), ("15b3:1018", "020000",
                                              "mlx5_core"))


def make(root, devices):
    tree = fixture.Tree(root)
    tree.write("sys/bus/pci/drivers_probe")
    tree.add_driver("vfio-pci")
    for i in range(devices):
        group = i - (i % 3 == 1)
        ids, class_, driver = KINDS[i % len(KINDS)]
        address = f"{i >> 13:04x}:{i >> 5 & 255:02x}:{i & 31:02x}.0"
        settings = [f"group={group}", f"iommu=dmar{i % 8}", "reset=flr+bus"]
        if i % 2:
            settings += [f"driver={driver}"]
        else:
            settings += ["driver=vfio-pci", "override=vfio-pci",
                         f"vfio=vfio{i}"]
        tree.add_device(address, ids, class_, *settings)
        if group == i:
            tree.add_group(str(group), "DMA", "fee00000-feefffff:msi")
    lines = []
    for vendor in range(0x1000, 0x9000, 13):
        lines.append(f"{vendor:04x}  A vendor of many things, number {vendor}")
        lines += [f"\t{device:04x}  One of its devices, which is {device}"
                  for device in range(14)]
    for ids, _, driver in KINDS:
        vendor, device = ids.split(":")
        lines += [f"{vendor}  Vendor of the {driver}",
                  f"\t{device}  Device for {driver}"]
    tree.write("usr/share/misc/pci.ids", "\n".join(lines) + "\n")


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def measure(env, command, runs):
    times = []
    for _ in range(runs + 1):
        start, busy = time.perf_counter(), cpu()
        done = subprocess.run(command, env=env, stdout=subprocess.DEVNULL,
                              check=False)
        times.append(((time.perf_counter() - start) * 1000, cpu() - busy))
        if done.returncode not in (0, 5):
            sys.exit(f"{command}: status {done.returncode}")
    return times[1:]		# the first one warms up


def calls(env, command, tmp):
    if not shutil.which("strace"):
        return None
    subprocess.run(["strace", "-qq", "-o", tmp, *command], env=env,
                   stdout=subprocess.DEVNULL, check=False)
    with open(tmp, encoding="utf-8") as f:
        return sum(1 for _ in f)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("program", nargs="?", default=f"{BUILD}/cli/iommuctl")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        root = f"{top}/root"
        make(root, args.devices)
        env = dict(os.environ, IOMMU_SYSFS_ROOT=root)
        print(f"{args.devices} devices, {args.runs} runs; ms")
        print(f"{'verb':32} {'least':>8} {'median':>8} {'CPU':>8} "
              f"{'syscalls':>9}")
        for verb in (["device", "list"], ["device", "list", "--json"],
                     ["group", "list"], ["device", "show", "0000:10:03.0"],
                     ["doctor", "0000:10:03.0"]):
            command = [args.program, *verb]
            times = measure(env, command, args.runs)
            nr = calls(env, command, f"{top}/strace")
            wall, busy = zip(*times)
            print(f"{' '.join(verb):32} {min(wall):8.1f} "
                  f"{statistics.median(wall):8.1f} "
                  f"{statistics.median(busy):8.1f} "
                  f"{nr if nr is not None else '-':>9}")


if __name__ == "__main__":
    main()
