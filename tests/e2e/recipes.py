#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Play docs/recipes.md: every command in it has to work as it stands.

Run inside the VM, as root: tools/vm -- tests/e2e/recipes.py. Prints TAP. What
is in a block marked "text" is not run.
"""

import os
import pwd
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/../daemon", HERE + "/.."]
from harness import answers, die_with_us, wait_until  # noqa: E402
from qemu_iommufd import QEMU, Qtest  # noqa: E402
from tap import Tap  # noqa: E402

RECIPES = HERE + "/../../docs/recipes.md"
LOG = "/run/iommud.log"
# The recipe's QEMU; we are its CPU.
WRAPPER = f"""#!/bin/sh
exec {QEMU} "$@" -accel tcg -S -nodefaults -display none -qtest stdio -qtest-log none
"""

tap = Tap()


def commands(path):
    """(title, user, command) of each line with a prompt."""
    title, block, lines = "", None, []
    with open(path, encoding="utf-8") as f:
        text = f.read().replace("\\\n\t", "")
    for line in text.splitlines():
        if line.startswith("```"):
            block = line[3:] if block is None else None
        elif block is None and line.startswith("#"):
            title = line.lstrip("# ")
        elif block == "":
            match = re.match(r"(\w+)[#$] (.*)", line)
            if not match:
                raise ValueError(f"{path}: no command: {line}")
            lines.append((title, match[1], match[2]))
    return lines


def as_user(name):
    user = pwd.getpwnam(name)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [],
            "cwd": "/"}


def play_vmm(command, user):
    """The VMM does DMA, and is killed; the daemon sees both."""
    vmm = Qtest(["sh", "-c", "exec " + command], **as_user(user))
    try:
        good = vmm.give_edu() and vmm.edu_does_dma()
    except (EOFError, OSError) as error:
        return False, str(error)
    leases = subprocess.run(["iommuctl", "lease", "list"], text=True,
                            capture_output=True, check=False).stdout
    vmm.proc.send_signal(signal.SIGKILL)
    vmm.proc.wait()
    took = wait_until(lambda: "0000:" not in subprocess.run(
        ["iommuctl", "lease", "list"], text=True, capture_output=True,
        check=False).stdout)
    return (good and str(vmm.proc.pid) in leases and took is not None,
            f"DMA {good}, free after {took}\n{leases}")


def play(user, command):
    if "qemu-system" in command:
        return play_vmm(command, user)
    done = subprocess.run(["sh", "-c", command], text=True, check=False,
                          capture_output=True, **as_user(user))
    return done.returncode == 0, f"status {done.returncode}\n{done.stdout}" \
        f"{done.stderr}"


def main():
    lines = commands(RECIPES)
    with open("/usr/local/bin/qemu-system-x86_64", "w",
              encoding="ascii") as f:
        f.write(WRAPPER)
    os.chmod(f.name, 0o755)
    os.environ["PATH"] += ":/usr/local/bin:/usr/sbin:/sbin"
    try:
        pwd.getpwnam("alice")
    except KeyError:
        subprocess.run(["useradd", "alice"], check=True)
    # As the package leaves them.
    os.makedirs("/etc/iommud/iommud.d", exist_ok=True)
    with open(LOG, "wb") as log:
        daemon = subprocess.Popen(["iommud"], stdout=log, stderr=log,
                                  preexec_fn=die_with_us)
    wait_until(lambda: answers("/run/iommud/iommud.sock"))
    for title, user, command in lines:
        good, detail = play(user, command)
        tap.ok(good, f"{title}: {user}: {command[:60]}", detail)
    tap.ok(len(lines) > 20, f"{len(lines)} commands")
    if tap.failed:
        with open(LOG, encoding="utf-8", errors="replace") as log:
            print("# " + log.read().replace("\n", "\n# "))
    daemon.terminate()
    tap.ok(daemon.wait(60) == 0, "the daemon ends")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
