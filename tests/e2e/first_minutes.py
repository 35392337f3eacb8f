#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""An administrator's first ten minutes, as README.md shows them.

usage: first_minutes.py --play                 inside the VM: print them
       first_minutes.py [--update] [--kernel K]  on the host: run the VM, and
           compare with README.md (TAP), or write them there

README.md has them between two markers. What differs from run to run (numbers
of processes, times, releases) is the same before it is compared.
"""

import difflib
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.append(TOP + "/tests")
sys.path.append(TOP + "/tests/daemon")
from harness import answers  # noqa: E402
from tap import Tap  # noqa: E402

README = TOP + "/README.md"
BEGIN = "<!-- tests/e2e/first_minutes.py --update writes from here -->\n"
END = "<!-- to here -->\n"
BIN = "/usr/local/bin"
DEV = "00:10.0"

# Who, what, and its exit status.
STEPS = (
    ("root", f"iommuctl doctor {DEV}", 5),
    ("root", "modprobe -a granule vfio-pci granule-vfio", 0),
    ("root", "iommuctl device list", 0),
    ("root", f"iommuctl device bind {DEV}", 0),
    ("root", f"iommuctl device show {DEV}", 0),
    ("root", f"iommuctl map {DEV} --size 1M --iova 0x100000 --exec edu_dma.py",
     0),
    ("root", f"iommuctl map {DEV} --size 4K --iova 0xfee00000", 5),
    ("root", f"iommuctl plot {DEV} --width 76", 0),
    ("root", f"iommuctl device unbind {DEV}", 0),
    ("root", "iommud &", None),
    ("root", "iommuctl ioas create pool --region ram=1M@0x100000 "
     "--user alice", 0),
    ("root", "iommuctl policy define device demo '{ "
     '"match": { "address": "0000:00:10.0" }, "users": ["alice"], '
     '"ioas": "pool", "start": "boot" }\'', 0),
    ("alice", f"iommuctl run --attach {DEV} -- edu_dma.py", 0),
    ("bob", f"iommuctl run --attach {DEV} -- edu_dma.py", 4),
    ("root", "iommuctl policy list", 0),
    ("root", "iommuctl policy stop demo", 0),
)


def users():
    """alice and bob, and programs that they may run; all in the guest."""
    with open("/etc/passwd", "a", encoding="ascii") as f:
        f.write("alice:x:4001:4001::/tmp:/bin/sh\n"
                "bob:x:4002:4002::/tmp:/bin/sh\n")
    with open("/etc/group", "a", encoding="ascii") as f:
        f.write("alice:x:4001:\nbob:x:4002:\niommu:x:4003:\n")
    os.makedirs(BIN, exist_ok=True)
    for program in (shutil.which("iommuctl"), shutil.which("iommud"),
                    HERE + "/edu_dma.py"):
        target = f"{BIN}/{os.path.basename(program)}"
        shutil.copy(program, target)
        os.chmod(target, 0o755)


def play():
    users()
    env = {"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    daemon = None
    for who, command, want in STEPS:
        print(f"{who}$ {command}", flush=True)
        if want is None:
            os.makedirs("/etc/iommud/iommud.d", exist_ok=True)
            daemon = subprocess.Popen([command.split()[0]], env=env,
                                      stderr=subprocess.DEVNULL)
            for _ in range(1200):
                if answers("/run/iommud/iommud.sock"):
                    break
                time.sleep(0.05)
            continue
        prefix = [] if who == "root" else ["setpriv", "--reuid", who,
                                           "--regid", who, "--init-groups"]
        done = subprocess.run([*prefix, "sh", "-c", command], env=env,
                              stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        print(done.stdout, end="", flush=True)
        if done.returncode != want:
            sys.exit(f"'{command}': status {done.returncode}, not {want}")
    daemon.terminate()
    daemon.wait()


def same(text):
    """Without what differs from run to run."""
    text = re.sub(r"\b\d+\.\d+\.\d+\+deb\d+-amd64", "RELEASE", text)
    text = re.sub(r"(process|pid) \d+", r"\1 PID", text)
    text = re.sub(r"\d\d\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)?", "TIME", text)
    return re.sub(r"group \d+", "group N", text)


def main():
    if "--play" in sys.argv:
        play()
        return 0
    args = sys.argv[1:]
    kernel = args[args.index("--kernel") + 1] if "--kernel" in args else "6.12"
    run = subprocess.run([TOP + "/tools/vm", "--kernel", kernel, "--no-load",
                          "--timeout", "600", "--", HERE +
                          "/first_minutes.py", "--play"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, check=False)
    have = BEGIN + "```\n" + run.stdout + "```\n" + END
    with open(README, encoding="utf-8") as f:
        readme = f.read()
    start, end = readme.index(BEGIN), readme.index(END) + len(END)
    want = readme[start:end]
    if run.returncode:
        sys.stderr.write(run.stderr)
    if "--update" in args:
        if run.returncode:
            sys.exit(run.stdout[-1000:])
        with open(README, "w", encoding="utf-8") as f:
            f.write(readme[:start] + have + readme[end:])
        return 0
    difference = list(difflib.unified_diff(
        same(want).splitlines(), same(have).splitlines(), "README.md",
        "the machine", lineterm=""))
    tap = Tap()
    tap.ok(not run.returncode, "the first ten minutes: each command does what "
           "it is shown for")
    tap.ok(not difference, "README.md shows what the commands print",
           "\n".join(difference))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
