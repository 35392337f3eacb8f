#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Each finding of iommuctl doctor, on a tree of fixture.py that is altered.

usage: test_doctor.py IOMMUCTL SOURCE_DIR. Output is TAP.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/.."]
import fixture  # noqa: E402
import schema  # noqa: E402
from tap import Tap  # noqa: E402

PROGRAM, SOURCE = (os.path.abspath(a) for a in sys.argv[1:3])
PROBLEM, NOTE, OK = "problem", "note", "ok"
DEV = "0000:00:03.0"
REL = "lib/modules/6.12.0-test"
SECURE_BOOT = ("sys/firmware/efi/efivars/"
               "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")

tap = Tap()
ok = tap.ok


def remove(root, *paths):
    for path in paths:
        full = f"{root}/{path}"
        if os.path.islink(full) or os.path.isfile(full):
            os.unlink(full)
        else:
            shutil.rmtree(full)


def write(root, path, text, mode=0o644):
    full = f"{root}/{path}"
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(full, mode)


def driven(root, dev, driver):
    """The host drives a device."""
    full = f"{root}/sys/bus/pci/devices/{dev}"
    shutil.rmtree(f"{full}/vfio-dev", ignore_errors=True)
    if os.path.islink(f"{full}/driver"):
        os.unlink(f"{full}/driver")
    if driver:
        fixture.Tree(root).link(
            f"{os.path.relpath(os.path.realpath(full), root)}/driver",
            f"sys/bus/pci/drivers/{driver}")


def below(root, dev, kind, name, /, **files):
    """A network interface or a disk of a device."""
    real = os.path.relpath(
        os.path.realpath(f"{root}/sys/bus/pci/devices/{dev}"), root)
    fixture.Tree(root).link(f"sys/class/{kind}/{name}",
                            f"{real}/{kind}/{name}")
    for key, text in files.items():
        write(root, f"{real}/{kind}/{name}/{key}", text)


def by_subsystem(root):
    """A disk that NVMe could reach by more than one controller."""
    tree = fixture.Tree(root)
    subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
    real = os.path.relpath(os.path.realpath(
        f"{root}/sys/bus/pci/devices/0000:02:00.0"), root)
    tree.link("sys/class/nvme-subsystem/nvme-subsys0", subsystem)
    tree.link(f"{subsystem}/nvme3", f"{real}/nvme/nvme3")
    tree.link("sys/class/block/nvme0n1p2", f"{subsystem}/nvme0n1/nvme0n1p2")
    write(root, "proc/mounts", "/dev/nvme0n1p2 /srv ext4 rw 0 0\n")


def no_iommu(root):
    remove(root, "sys/class/iommu", "sys/kernel/iommu_groups")
    for dev in os.listdir(f"{root}/sys/bus/pci/devices"):
        for link in ("iommu", "iommu_group"):
            os.unlink(f"{root}/sys/bus/pci/devices/{dev}/{link}")


def cmdline(words):
    return lambda root: write(root, "proc/cmdline", f"quiet {words} ro\n")


def no_table(root):
    no_iommu(root)
    remove(root, "sys/firmware")


def in_qemu(root):
    no_table(root)
    write(root, "sys/class/dmi/id/sys_vendor", "QEMU\n")


def table(name):
    def change(root):
        no_table(root)
        write(root, f"sys/firmware/acpi/tables/{name}", "x")
    return change


def off_by(words):
    def change(root):
        no_iommu(root)
        cmdline(words)(root)
    return change


def without(module, *lists):
    """A module is not loaded; lists: modules.dep or modules.builtin."""
    def change(root):
        name = module.replace("-", "_")
        if os.path.exists(f"{root}/sys/module/{name}"):
            remove(root, f"sys/module/{name}")
        if module == "vfio-pci":
            remove(root, "sys/bus/pci/drivers/vfio-pci")
        for file, what in lists:
            write(root, f"{REL}/{file}", f"kernel/a/{what}.ko: kernel/b.ko\n"
                  if file.endswith("dep") else f"kernel/a/{what}.ko\n")
    return change


def enforced(how):
    def change(root):
        remove(root, "sys/module/granule")
        if how == "lockdown":
            write(root, "sys/kernel/security/lockdown",
                  "none [integrity] confidentiality\n")
        elif how == "sig_enforce":
            write(root, "sys/module/module/parameters/sig_enforce", "Y\n")
        write(root, SECURE_BOOT, b"\x06\0\0\0\1")
    return change


def parameter(module, name):
    return lambda root: write(root, f"sys/module/{module}/parameters/{name}",
                              "Y\n")


def busy(driver):
    return lambda root: driven(root, "0000:00:1f.2", driver)


def network(root):
    driven(root, DEV, "e1000e")
    below(root, DEV, "net", "eth7", operstate="up\n")


def network_down(root):
    driven(root, DEV, "e1000e")
    below(root, DEV, "net", "eth7", operstate="down\n")


def network_mute(flags):
    """Of a driver that does not tell whether there is a link."""
    def change(root):
        driven(root, DEV, "e1000e")
        below(root, DEV, "net", "eth7", operstate="unknown\n", flags=flags)
    return change


def network_elsewhere(directory):
    """Its interface was moved to the network namespace of a container."""
    def change(root):
        driven(root, DEV, "e1000e")
        os.makedirs(f"{root}/sys/bus/pci/devices/{DEV}/{directory}")
    return change


def mounted_by_kernel(number):
    """Without an initial RAM disk the root is on "/dev/root"."""
    def change(root):
        below(root, "0000:02:00.0", "block", "nvme0n1p2", dev="259:2\n")
        write(root, "proc/mounts", "/dev/root / ext4 rw 0 0\n")
        write(root, "proc/self/mountinfo",
              "21 1 0:5 / /proc rw - proc proc rw\n22 1 " + number +
              " / / rw,relatime shared:1 - ext4 /dev/root rw\n")
    return change


def in_btrfs(root):
    """A file system of two disks, mounted by the name of the other one."""
    below(root, "0000:02:00.0", "block", "nvme0n1p2", dev="259:2\n")
    write(root, "proc/mounts", "/dev/sdz1 / btrfs rw 0 0\n")
    write(root, "proc/self/mountinfo",
          "22 1 0:30 / / rw - btrfs /dev/sdz1 rw\n")
    for name in "sdz1", "nvme0n1p2":
        write(root, f"sys/fs/btrfs/1-2-3/devices/{name}/size", "8\n")


def disk(list_, line):
    def change(root):
        below(root, "0000:02:00.0", "block", "nvme0n1p2")
        write(root, list_, line)
    return change


def part_of(holder, **files):
    """Of an array, or of something that the device mapper made."""
    def change(root):
        below(root, "0000:02:00.0", "block", "nvme0n1p2",
              **{f"holders/{holder}/size": "8"})
        for key, text in files.items():
            write(root, f"sys/class/block/{holder}/dm/{key}", text)
    return change


def behind_port(acs):
    """Two slots of a port, which has ACS or has not."""
    def change(root):
        tree = fixture.Tree(root)
        port = "sys/devices/pci0000:00/0000:00:1c.0"
        config = bytearray(4096)
        # Advanced Error Reporting, and then perhaps ACS.
        config[0x100:0x104] = (0x0001 | 1 << 16 | 0x148 << 20).to_bytes(
            4, "little")
        config[0x148:0x14c] = ((0x000d if acs else 0x000b) |
                               1 << 16).to_bytes(4, "little")
        write(root, f"{port}/config", bytes(config))
        tree.link("sys/bus/pci/devices/0000:00:1c.0", port)
        tree.add_group("9", "DMA")
        for slot, driver in ((0, "vfio-pci"), (1, "xhci_hcd")):
            name = f"0000:07:0{slot}.0"
            real = f"{port}/{name}"
            for key, value in (("vendor", "0x1234"), ("device", "0x11e8"),
                               ("class", "0x00ff00"), ("reset_method", "flr")):
                write(root, f"{real}/{key}", value + "\n")
            tree.link(f"sys/bus/pci/devices/{name}", real)
            tree.link(f"{real}/driver", f"sys/bus/pci/drivers/{driver}")
            tree.link(f"{real}/iommu_group", "sys/kernel/iommu_groups/9")
            tree.link(f"sys/kernel/iommu_groups/9/devices/{name}", real)
    return change


def large(root):
    """An IOMMU of 16K pages, and no huge pages."""
    tree = fixture.Tree(root)
    tree.add_device("0000:00:01.0", "1af4:1057", "08ff00")
    tree.add_virtio_iommu("0000:00:01.0")
    dev = f"sys/bus/pci/devices/{DEV}"
    os.unlink(f"{root}/{dev}/iommu")
    tree.link(f"{os.path.relpath(os.path.realpath(f'{root}/{dev}'), root)}"
              "/iommu", "sys/devices/virtual/iommu/0000:00:01.0")


def no_huge(root):
    write(root, "sys/kernel/mm/transparent_hugepage/enabled",
          "always madvise [never]\n")


def large_no_huge(root):
    large(root)
    no_huge(root)


def firmware_region(root):
    write(root, "sys/kernel/iommu_groups/3/reserved_regions",
          "0x00000000000e0000 0x00000000000fffff direct\n")


def limits(text, cgroup="0::/user.slice/user-7.slice/session-2.scope\n",
           file="etc/security/limits.d/50-x.conf"):
    def change(root):
        write(root, "proc/self/cgroup", cgroup)
        if text:
            write(root, file, text)
    return change


def set_node(mode):
    return lambda root: os.chmod(f"{root}/dev/iommu", mode)


def reset(text, dev="0000:00:03.0"):
    def change(root):
        path = f"sys/bus/pci/devices/{dev}/reset_method"
        if text:
            write(root, path, text)
        else:
            remove(root, path)
    return change


# name, what is altered, arguments, limit of locked memory (None: as it is, a
# pair: soft and hard, in KiB; without CAP_IPC_LOCK); and the finding:
# level, check, object, value, remedy.
CASES = (
    ("IOMMU on", None, [], None,
     OK, "iommu", "IOMMU", "on: dmar0, 3 groups", None),
    ("no IOMMU", no_table, [], None,
     PROBLEM, "iommu", "IOMMU", "none: .* no table", "--firmware-setup"),
    ("no IOMMU in a virtual machine", in_qemu, [], None,
     PROBLEM, "iommu", "IOMMU", "none: ", "-device intel-iommu"),
    ("IOMMU off", no_iommu, [], None,
     PROBLEM, "iommu", "IOMMU", "off: .*DMAR.*no device is in a group",
     "intel_iommu=on /"),
    ("IOMMU off by command line", off_by("intel_iommu=off"), [], None,
     PROBLEM, "iommu", "IOMMU", "off: .*DMAR.* says intel_iommu=off",
     r"sed .*intel_iommu=off.*update-grub && reboot"),
    ("IOMMU off by iommu=off", off_by("iommu=off"), [], None,
     PROBLEM, "iommu", "IOMMU", "says iommu=off", "update-grub"),
    ("a word that only looks like it", off_by("x_intel_iommu=off1"), [], None,
     PROBLEM, "iommu", "IOMMU", "no device is in a group", "intel_iommu=on"),
    ("AMD's table", table("IVRS"), [], None,
     PROBLEM, "iommu", "IOMMU", "off: .*IVRS", "amd_iommu=on"),
    ("ARM's table", table("IORT"), [], None,
     PROBLEM, "iommu", "IOMMU", "off: .*IORT", "iommu.passthrough=0"),
    ("virtio-iommu without driver", table("VIOT"), [], None,
     PROBLEM, "iommu", "IOMMU", "VIOT, and no driver",
     "^modprobe granule-virtio-iommu$"),
    ("unsafe interrupts", parameter("granule", "allow_unsafe_interrupts"), [],
     None, NOTE, "unsafe", "granule", "allow_unsafe_interrupts is on",
     "^echo N >/sys/module/granule/parameters/allow_unsafe_interrupts$"),
    ("unsafe interrupts of type1",
     parameter("vfio_iommu_type1", "allow_unsafe_interrupts"), [],
     None, NOTE, "unsafe", "vfio_iommu_type1", "is on", "^echo N >"),
    ("no-IOMMU mode", parameter("vfio", "enable_unsafe_noiommu_mode"), [],
     None, PROBLEM, "unsafe", "vfio", "is on", "^echo N >.*noiommu_mode$"),
    ("no interrupt remapping", cmdline("intremap=off"), [], None,
     PROBLEM, "unsafe", "interrupts", "intremap=off", "update-grub"),
    ("granule loaded", None, [], None,
     OK, "module", "granule", "^loaded$", None),
    ("granule installed", without("granule", ("modules.dep", "granule")), [],
     None, PROBLEM, "module", "granule", "installed for 6.12.0-test, not",
     "^modprobe granule$"),
    ("granule compressed",
     without("granule", ("modules.dep", "granule.ko.zst: x")), [],
     None, PROBLEM, "module", "granule", "installed", "^modprobe granule$"),
    ("granule not installed", without("granule"), [], None,
     PROBLEM, "module", "granule", "not installed",
     "tools/kbuild /lib/modules/6.12.0-test/build out && insmod"),
    ("only another module of the name",
     without("granule", ("modules.dep", "xgranule")), [],
     None, PROBLEM, "module", "granule", "not installed", "insmod"),
    ("granule-vfio not loaded",
     without("granule-vfio", ("modules.dep", "granule-vfio")), [], None,
     PROBLEM, "module", "granule-vfio", "not loaded",
     "^modprobe granule-vfio$"),
    ("vfio-pci not loaded", without("vfio-pci", ("modules.dep", "vfio-pci")),
     [], None, PROBLEM, "module", "vfio-pci", "not loaded",
     "^modprobe vfio-pci$"),
    ("vfio-pci built in",
     without("vfio-pci", ("modules.builtin", "vfio-pci")), [], None,
     OK, "module", "vfio-pci", "built into the kernel", None),
    ("the kernel's own iommufd",
     without("granule", ("modules.builtin", "iommufd")), [], None,
     OK, "module", "iommufd", "a /dev/iommu of its own", None),
    ("the kernel's own iommufd, not loaded",
     without("granule", ("modules.dep", "iommufd")), [], None,
     PROBLEM, "module", "iommufd", "not loaded", "^modprobe iommufd$"),
    ("lockdown", enforced("lockdown"), [], None,
     PROBLEM, "signature", "module signatures", "locked down",
     "mokutil --import"),
    ("sig_enforce", enforced("sig_enforce"), [], None,
     PROBLEM, "signature", "module signatures", "sig_enforce",
     "sign-file sha256"),
    ("Secure Boot alone", enforced(""), [], None,
     OK, "signature", "module signatures", "though Secure Boot is on", None),
    ("no node", lambda root: remove(root, "dev/iommu"), [], None,
     PROBLEM, "node", "/dev/iommu", "is not there", "udevadm trigger"),
    ("no daemon", None, [], None,
     NOTE, "daemon", "iommud", "does not answer", "iommud.socket$"),
    ("no such device", None, ["00:09.0"], None,
     PROBLEM, "device", "00:09.0", "no such device", "device list"),
    ("no name of a device", None, ["../x"], None,
     PROBLEM, "device", "../x", "no name of a device", "device list"),
    ("viable group", None, [DEV], None,
     OK, "group", DEV, "group 3 is viable, 1 device$", None),
    ("function of a card in the way", busy("ahci"), ["00:1f.0"], None,
     PROBLEM, "group", "0000:00:1f.0", r"not viable: the host drives "
     r"0000:00:1f.2 \(ahci\)", "device bind --group 0000:00:1f.0"),
    ("bridge driver is not in the way", busy("pcieport"), ["00:1f.0"], None,
     OK, "group", "0000:00:1f.0", "viable, 2 devices", None),
    ("port without ACS", behind_port(False), ["07:00.0"], None,
     PROBLEM, "group", "0000:07:00.0", r"0000:07:01.0 \(xhci_hcd\)",
     "bind --group"),
    ("not behind an IOMMU",
     lambda root: [os.unlink(f"{root}/sys/bus/pci/devices/{DEV}/{x}")
                   for x in ("iommu", "iommu_group")], [DEV], None,
     PROBLEM, "group", DEV, "not behind an IOMMU", "some slots are exempt"),
    ("the firmware's region", firmware_region, [DEV], None,
     PROBLEM, "firmware", DEV, "0xe0000-0xfffff", "--firmware-setup"),
    ("bound", None, [DEV], None,
     OK, "driver", DEV, "bound to vfio-pci, /dev/vfio/devices/vfio0", None),
    ("VFIO device without node",
     lambda root: remove(root, f"sys/bus/pci/devices/{DEV}/vfio-dev/vfio0/"
                         "dev"), [DEV], None,
     PROBLEM, "driver", DEV, "vfio0 has no node", "^modprobe granule-vfio$"),
    ("host's driver", None, ["02:00.0"], None,
     NOTE, "driver", "0000:02:00.0", "driven by the host's nvme",
     "device bind 0000:02:00.0"),
    ("no driver", lambda root: driven(root, DEV, None), [DEV], None,
     NOTE, "driver", DEV, "has no driver", "device bind"),
    ("network interface up", network, [DEV], None,
     PROBLEM, "driver", DEV, "by e1000e.* eth7 is up", "device bind"),
    ("network interface down", network_down, [DEV], None,
     NOTE, "driver", DEV, "driven by the host's e1000e", "device bind"),
    ("network interface on, its link not known", network_mute("0x1003\n"),
     [DEV], None,
     PROBLEM, "driver", DEV, "by e1000e.* eth7 is up", "device bind"),
    ("network interface off, its link not known", network_mute("0x1002\n"),
     [DEV], None,
     NOTE, "driver", DEV, "driven by the host's e1000e", "device bind"),
    ("network interface of a container", network_elsewhere("net"), [DEV],
     None, PROBLEM, "driver", DEV, "in another network namespace", "bind"),
    ("virtio interface of a container", network_elsewhere("virtio3/net"),
     [DEV], None,
     PROBLEM, "driver", DEV, "in another network namespace", "bind"),
    ("disk mounted by the kernel", mounted_by_kernel("259:2"), ["02:00.0"],
     None, PROBLEM, "driver", "0000:02:00.0", "/dev/nvme0n1p2 is mounted",
     "bind"),
    ("another disk mounted by the kernel", mounted_by_kernel("259:22"),
     ["02:00.0"], None,
     NOTE, "driver", "0000:02:00.0", "driven by", "bind"),
    ("disk of btrfs", in_btrfs, ["02:00.0"], None,
     PROBLEM, "driver", "0000:02:00.0",
     "/dev/nvme0n1p2 is part of btrfs 1-2-3", "bind"),
    ("disk mounted", disk("proc/mounts", "/dev/nvme0n1p2 / ext4 rw 0 0\n"),
     ["02:00.0"], None,
     PROBLEM, "driver", "0000:02:00.0", "/dev/nvme0n1p2 is mounted", "bind"),
    ("disk swapped to", disk("proc/swaps", "/dev/nvme0n1p2\tpartition\t1\n"),
     ["02:00.0"], None,
     PROBLEM, "driver", "0000:02:00.0", "/dev/nvme0n1p2 is swapped", "bind"),
    ("disk of a volume group", part_of("dm-0", name="vg-root\n"),
     ["02:00.0"], None,
     PROBLEM, "driver", "0000:02:00.0", "/dev/nvme0n1p2 is part of vg-root",
     "bind"),
    ("disk of an array", part_of("md127"), ["02:00.0"], None,
     PROBLEM, "driver", "0000:02:00.0", "/dev/nvme0n1p2 is part of md127",
     "bind"),
    ("disk of a subsystem", by_subsystem, ["02:00.0"], None,
     PROBLEM, "driver", "0000:02:00.0", "/dev/nvme0n1p2 is mounted", "bind"),
    ("another disk mounted", disk("proc/mounts", "/dev/nvme0n1 / ext4\n"),
     ["02:00.0"], None,
     NOTE, "driver", "0000:02:00.0", "driven by", "bind"),
    ("reset", None, [DEV], None, OK, "reset", DEV, "by flr bus", None),
    ("no reset", reset(None), [DEV], None,
     NOTE, "reset", DEV, "no way to reset", "remove"),
    ("reset of the bus", reset("bus\n"), [DEV], None,
     NOTE, "reset", DEV, "only with its bus, which 2 others", "--group"),
    ("granule of 4K", None, [DEV], None,
     OK, "granule", DEV, "page is 4K, the CPU's 4K", None),
    ("granule of 16K", large, [DEV], None,
     NOTE, "granule", DEV, "page is 16K, the CPU's 4K", "--memory thp"),
    ("huge pages", None, [], None,
     OK, "hugepages", "huge pages", "transparent ones where advised", None),
    ("no huge pages", no_huge, [], None,
     NOTE, "hugepages", "huge pages", "0 of 2M free.*never", "madvise"),
    ("no huge pages where they are needed", large_no_huge,
     [DEV, "--size", "64M"], None, PROBLEM, "hugepages", "huge pages",
     "never", "^echo 32 >/proc/sys/vm/nr_hugepages$"),
    ("too much memory", None, ["--size", "32G"], None,
     PROBLEM, "memory", "memory", "has 16384M, and 32G", "--size 8192M"),
    ("memlock raised", None, ["--size", "1M"], (64, 4096),
     PROBLEM, "memlock", "RLIMIT_MEMLOCK", "64K, which this shell may",
     "^ulimit -l 1024$"),
    ("memlock by PAM", limits("* hard memlock 64\n"), ["--size", "1G"],
     (64, 128), PROBLEM, "memlock", "RLIMIT_MEMLOCK",
     "64K, hard limit 128K, set by /etc/security/limits.d/50-x.conf",
     "memlock 1048576' >>/etc/security/limits.d/50-x.conf"),
    ("memlock by limits.conf",
     limits("#* - memlock 1\nbob soft memlock 8\n",
            file="etc/security/limits.conf"), ["--size", "1G"],
     (64, 128), PROBLEM, "memlock", "RLIMIT_MEMLOCK",
     "set by /etc/security/limits.conf", ">>/etc/security/limits.conf"),
    ("memlock by default", limits(None), ["--size", "1G"], (64, 128),
     PROBLEM, "memlock", "RLIMIT_MEMLOCK", "which systemd sets for logins",
     ">>/etc/security/limits.d/99-iommu.conf"),
    ("memlock of a service",
     limits(None, "0::/system.slice/vmm@3.service/worker\n"),
     ["--size", "1G"], (64, 128), PROBLEM, "memlock", "RLIMIT_MEMLOCK",
     "set by LimitMEMLOCK of vmm@3.service",
     "^systemctl edit vmm@3.service .*LimitMEMLOCK=1048576K"),
    ("memlock enough", None, ["--size", "1M"], (2048, 2048),
     OK, "memlock", "RLIMIT_MEMLOCK", "^2M$", None),
)


def run(program, root, args, prefix=()):
    done = subprocess.run(
        [*prefix, program, "doctor", *args], capture_output=True, text=True,
        env=dict(os.environ, IOMMU_SYSFS_ROOT=root, LC_ALL="C",
                 ASAN_OPTIONS="detect_leaks=0"),
        stdin=subprocess.DEVNULL, timeout=300, check=False)
    return done


def limited(memlock):
    """A command line in front that limits locked memory and privileges."""
    if memlock is None:
        return []
    pre = ["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps",
           "-ipc_lock"] if os.geteuid() == 0 else []
    return [*pre, "prlimit", f"--memlock={memlock[0] << 10}:"
            f"{memlock[1] << 10}"]


def find(doc, level, check, what, value, remedy):
    return [f for f in doc["findings"]
            if f["level"] == level and f["check"] == check and
            f["object"] == what and re.search(value, f["value"]) and
            (f["remedy"] is None if remedy is None else
             f["remedy"] and re.search(remedy, f["remedy"]))]


def test_case(root, name, change, args, memlock, *want):
    if change:
        change(root)
    done = run(PROGRAM, root, [*args, "--json"], limited(memlock))
    try:
        doc = json.loads(done.stdout)
    except ValueError:
        ok(False, name, done)
        return
    ok(len(find(doc, *want)) == 1, name,
       f"want {want}\n" + json.dumps(doc, indent=1))
    problems = [f for f in doc["findings"] if f["level"] == PROBLEM]
    wrong = schema.wrong("doctor", doc)
    ok(not wrong, f"{name}: docs/schema/iommuctl.json", wrong)
    ok(done.returncode == (5 if problems else 0) and
       doc["problems"] == len(problems) and
       all(f["remedy"] for f in doc["findings"] if f["level"] != OK),
       f"{name}: status; each problem and note has a remedy", done)
    text = run(PROGRAM, root, args, limited(memlock)).stdout
    ok(all(x in text for f in doc["findings"] for x in f.values() if x),
       f"{name}: text and JSON agree", text)


def test_node(make, top):
    """What a user may not open."""
    if os.geteuid():
        print("# not run as root: rights of other users are not tested")
        return
    program = f"{top}/iommuctl"
    shutil.copy(PROGRAM, program)
    os.chmod(program, 0o755)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534",
              "--clear-groups"]
    for name, mode, group, remedy in (
            ("of a group", 0o660, 12, r"^usermod -aG man "),
            ("of root", 0o600, 0, "iommud.socket")):
        root = make()
        os.chmod(f"{root}/dev/iommu", mode)
        os.chown(f"{root}/dev/iommu", 0, group)
        doc = json.loads(run(program, root, ["--json"], nobody).stdout)
        ok(find(doc, PROBLEM, "node", "/dev/iommu", "may not open it", remedy),
           f"node {name}", json.dumps(doc, indent=1))
    listener = socket.socket(socket.AF_UNIX)
    os.makedirs(f"{root}/run/iommud")
    listener.bind(f"{root}/run/iommud/iommud.sock")
    os.chmod(f"{root}/run/iommud/iommud.sock", 0o666)
    listener.listen()
    doc = json.loads(run(program, root, ["--json"], nobody).stdout)
    ok(find(doc, NOTE, "node", "/dev/iommu", "may not", "^iommuctl run") and
       find(doc, OK, "daemon", "iommud", "runs", None),
       "node that is the daemon's to hand over", json.dumps(doc, indent=1))
    listener.close()
    root = make()
    os.chmod(f"{root}/dev/iommu", 0o666)
    doc = json.loads(run(program, root, ["--json"], nobody).stdout)
    ok(find(doc, OK, "node", "/dev/iommu", "can be opened", None),
       "node that everybody may open", json.dumps(doc, indent=1))


def test_acs(make):
    for acs, rule in ((False, "port 0000:00:1c.0 above has no ACS"),
                      (True, "they share port 0000:00:1c.0")):
        root = make()
        behind_port(acs)(root)
        done = run(PROGRAM, root, ["07:00.0"])
        ok(rule in done.stdout, f"hint: {rule}", done.stdout)
    root = make()
    busy("ahci")(root)
    done = run(PROGRAM, root, ["00:1f.0"])
    ok("they are functions of one card" in done.stdout, "hint: one card",
       done.stdout)


def test_bind(make):
    """What the host uses is not taken away from it, unless forced."""
    for name, change, dev, use in (
            ("network interface", network, DEV, "network interface eth7 is "
             "up"),
            ("disk", disk("proc/swaps", "/dev/nvme0n1p2\tpartition\t1\n"),
             "0000:02:00.0", "/dev/nvme0n1p2 is swapped to"),
            ("disk of a subsystem", by_subsystem, "0000:02:00.0",
             "/dev/nvme0n1p2 is mounted")):
        root = make()
        change(root)
        override = f"{root}/sys/bus/pci/devices/{dev}/driver_override"
        before = os.stat(override).st_mtime_ns
        for force in False, True:
            done = subprocess.run(
                [PROGRAM, "device", "bind", "--direct", dev] +
                ["--force"] * force, capture_output=True, text=True,
                env=dict(os.environ, IOMMU_SYSFS_ROOT=root, LC_ALL="C",
                         ASAN_OPTIONS="detect_leaks=0"),
                stdin=subprocess.DEVNULL, timeout=300, check=False)
            touched = os.stat(override).st_mtime_ns != before
            if force:
                ok(touched and "uses it" not in done.stderr,
                   f"bind --force: {name}", done)
            else:
                ok(done.returncode == 3 and not touched and
                   f"the host uses it: {use}; put" in done.stderr and
                   "--force" in done.stderr, f"bind: {name}", done)


def test_use(make):
    """Who has the device's file, or its group's."""
    for node in "dev/vfio/devices/vfio0", "dev/vfio/3":
        root = make()
        with open(f"{root}/{node}", "a+", encoding="ascii"):
            done = run(PROGRAM, root, [DEV, "--json"])
        ok(find(json.loads(done.stdout), PROBLEM, "use", DEV, f"process "
                f"{os.getpid()} .*, which has /{node} open", "^kill "),
           f"in use: /{node}", done.stdout)


def main():
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        nr = 0

        def make():
            nonlocal nr
            nr += 1
            root = f"{top}/{nr}"
            fixture.build(f"{SOURCE}/fixtures/doctor.txt", root)
            return root

        for case in CASES:
            test_case(make(), *case)
        test_acs(make)
        test_bind(make)
        test_use(make)
        test_node(make, top)
        root = make()
        done = run(PROGRAM, root, [DEV])
        ok(done.returncode == 0 and
           done.stdout.endswith("0 problems, 1 note\n"),
           "a machine without problems", done)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
