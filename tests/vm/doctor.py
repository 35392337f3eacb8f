#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""iommuctl doctor on machines with something wrong, in the VM. Output is TAP.

usage: doctor.py none|off|group

  none   the machine has no IOMMU
  off    it has one, and intel_iommu=off is on the kernel's command line
  group  Granule is not loaded; edu is a function of a card whose network
         interface the host drives. Each remedy is carried out, until nothing
         is wrong; then too little memory may be locked.

What doctor prints is printed, too.
"""

import glob
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/..")
from tap import Tap  # noqa: E402

tap = Tap()
ok = tap.ok


def doctor(*args, prefix=()):
    """The document, after its text is printed; and the status."""
    command = [*prefix, "iommuctl", "doctor", *args]
    text = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"# $ {' '.join(command)}")
    for line in (text.stdout + text.stderr).splitlines():
        print("# " + line)
    js = subprocess.run([*command, "--json"], capture_output=True, text=True,
                        check=False)
    return json.loads(js.stdout), text.returncode


def find(doc, level, check, what, value, remedy):
    return [f for f in doc["findings"]
            if (f["level"], f["check"], f["object"]) == (level, check, what)
            and re.search(value, f["value"])
            and re.search(remedy, f["remedy"] or "")]


def problems(doc):
    return [f for f in doc["findings"] if f["level"] == "problem"]


def edu():
    for path in sorted(glob.glob("/sys/bus/pci/devices/*")):
        with open(path + "/device", encoding="ascii") as f:
            if f.read().strip() == "0x11e8" and not path.endswith(".0"):
                return os.path.basename(path)
    sys.exit("no edu that is a second function")


def without_iommu():
    doc, status = doctor("0000:00:10.0")
    ok(status == 5, "no IOMMU: status", status)
    ok(find(doc, "problem", "iommu", "IOMMU", "none: the firmware has no table",
            "-device intel-iommu"), "no IOMMU: named, with a remedy", doc)
    ok(find(doc, "problem", "group", "0000:00:10.0", "not behind an IOMMU",
            "iommuctl doctor"), "no IOMMU: of the device", doc)


def switched_off():
    doc, status = doctor("0000:00:10.0")
    ok(status == 5, "IOMMU off: status", status)
    ok(find(doc, "problem", "iommu", "IOMMU",
            "off: .*DMAR.* says intel_iommu=off", "sed .*intel_iommu=off.*"
            "update-grub"), "IOMMU off: named, with a remedy", doc)
    # The remedy's first command, on a file of the guest's.
    remedy = problems(doc)[0]["remedy"].split(" && ")[0]
    with open("/etc/default/grub", "w", encoding="ascii") as f:
        f.write('GRUB_CMDLINE_LINUX="quiet intel_iommu=off ro"\n')
    subprocess.run(["sh", "-c", remedy], check=True)
    with open("/etc/default/grub", encoding="ascii") as f:
        text = f.read()
    ok(text == 'GRUB_CMDLINE_LINUX="quiet ro"\n', "IOMMU off: the remedy "
       "takes the word away", text)


def cure(dev):
    """Carry out remedies, until there are no problems."""
    cured = []
    for _ in range(8):
        doc, status = doctor(dev)
        bad = problems(doc)
        if not bad:
            ok(status == 0, "cured: status", status)
            break
        cured.append((bad[0]["check"], bad[0]["object"]))
        done = subprocess.run(["sh", "-c", bad[0]["remedy"]],
                              capture_output=True, text=True, check=False)
        ok(done.returncode == 0, f"remedy works: {bad[0]['remedy']}", done)
    return cured


def memlock():
    user = ["setpriv", "--reuid", "65534", "--clear-groups"]
    low = ["prlimit", f"--memlock={64 << 10}:{64 << 20}", *user]
    doc, status = doctor("--size", "32M", prefix=low)
    bad = find(doc, "problem", "memlock", "RLIMIT_MEMLOCK", "64K",
               "^ulimit -l 32768$")
    ok(status == 5 and bad, "memlock: named, with a remedy", doc)
    doc, status = doctor("--size", "32M",
                         prefix=[*low, "sh", "-c",
                                 bad[0]["remedy"] + ' && exec "$@"', "-"])
    ok(find(doc, "ok", "memlock", "RLIMIT_MEMLOCK", "32M", ""),
       "memlock: the remedy works", doc)
    doc, status = doctor("--size", "32M", prefix=[
        "prlimit", f"--memlock={64 << 10}:{1 << 20}", *user])
    ok(find(doc, "problem", "memlock", "RLIMIT_MEMLOCK", "hard limit 1M",
            "limits|systemctl edit"), "memlock: a hard limit", doc)


def cures():
    subprocess.run(["modprobe", "e1000e"], check=True)
    dev = edu()
    card = dev[:-1] + "0"
    cured = cure(dev)
    ok(cured == [("module", "granule"), ("module", "vfio-pci"),
                 ("module", "granule-vfio"), ("node", "/dev/iommu"),
                 ("group", dev)] or
       cured == [("module", "granule"), ("module", "vfio-pci"),
                 ("module", "granule-vfio"), ("group", dev)],
       "what was wrong, in the order in which it is cured", cured)
    driver = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{card}"
                                          "/driver"))
    ok(driver == "vfio-pci", "the group's other device is taken from the host",
       driver)
    memlock()


if __name__ == "__main__":
    {"none": without_iommu, "off": switched_off, "group": cures}[sys.argv[1]]()
    sys.exit(tap.end())
