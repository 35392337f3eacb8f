#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What "meson install" puts where, and whether systemd and dkms take it.

usage: install.py BUILD SOURCE PREFIX
"""

import fnmatch
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/..")
from tap import Tap  # noqa: E402

BUILD, SOURCE, PREFIX = sys.argv[1:]

# Below the prefix; all that is installed matches one, and each has something.
WANTED = [
    ("bin/iommuctl", 0o755),
    ("include/libiommu*.h", 0o644),
    ("include/granule/*.h", 0o644),
    ("lib/*/libiommu.a", 0o644),
    ("lib/*/libiommu.so*", 0o755),
    ("lib/*/pkgconfig/libiommu.pc", 0o644),
    ("lib/modprobe.d/granule.conf", 0o644),
    ("lib/systemd/system/iommud.service", 0o644),
    ("lib/systemd/system/iommud.socket", 0o644),
    ("lib/systemd/system/iommud-early.service", 0o644),
    ("lib/sysusers.d/iommud.conf", 0o644),
    ("lib/tmpfiles.d/iommud.conf", 0o644),
    ("lib/udev/rules.d/05-iommud.rules", 0o644),
    ("lib/udev/rules.d/60-iommud.rules", 0o644),
    ("sbin/iommud", 0o755),
    ("share/bash-completion/completions/iommuctl*", 0o644),
    ("share/man/man1/iommuctl.1", 0o644),
    ("share/man/man5/iommud.conf.5", 0o644),
    ("share/man/man8/iommud.8", 0o644),
    ("share/man/man*/*", 0o644),
    ("share/varlink/org.granule.iommud.varlink", 0o644),
    ("src/granule-*/dkms.conf", 0o644),
    ("src/granule-*/kernel/*", 0o644),
    ("src/granule-*/uapi/*", 0o644),
]
UNITS = ("iommud.service", "iommud.socket", "iommud-early.service")

tap = Tap()
ok = tap.ok


def run(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False,
                          **more)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def files_below(top):
    return sorted(os.path.relpath(os.path.join(where, name), top)
                  for where, _, names in os.walk(top) for name in names)


def test_files(root):
    top = root + PREFIX
    found = files_below(root)
    inside = [os.path.relpath(root + "/" + f, top) for f in found]
    unknown = [f for f in inside
               if not any(fnmatch.fnmatchcase(f, w) for w, _ in WANTED)]
    ok(not unknown, "nothing is installed that is not listed here", unknown)
    for wanted, mode in WANTED:
        there = fnmatch.filter(inside, wanted)
        wrong = [f for f in there if not os.path.islink(top + "/" + f) and
                 os.stat(top + "/" + f).st_mode & 0o7777 != mode]
        ok(there and not wrong, "%s, mode %o" % (wanted, mode),
           wrong or "there is none")
    text = [f for f in found if f.endswith((".service", ".rules", ".pc"))]
    ok(not any(SOURCE in read(root + "/" + f) or BUILD in read(root + "/" + f)
               or root in read(root + "/" + f) for f in text),
       "no file names the directory that it was built in", text)


def test_units(root, work):
    """With the program where it is now, as it is looked for."""
    units = work + "/units"
    os.mkdir(units)
    for name in UNITS:
        path = "%s%s/lib/systemd/system/%s" % (root, PREFIX, name)
        with open(units + "/" + name, "w", encoding="utf-8") as f:
            f.write(read(path).replace("ExecStart=" + PREFIX,
                                       "ExecStart=" + root + PREFIX))
    done = run("systemd-analyze", "verify", "--man=no",
               *[units + "/" + name for name in UNITS],
               env=dict(os.environ, SYSTEMD_UNIT_PATH=units + ":"))
    ok(done.returncode == 0 and "iommud" not in done.stdout,
       "systemd-analyze verify has nothing to say of the units", done.stdout)
    image = work + "/image"
    shutil.copytree(root, image, symlinks=True)
    done = run("systemctl", "--root=" + image, "enable", "iommud.service")
    links = files_below(image + "/etc/systemd/system")
    ok(done.returncode == 0 and links == [
        "multi-user.target.wants/iommud.service",
        "sockets.target.wants/iommud.socket",
        "sysinit.target.wants/iommud-early.service"],
       "enabling the service enables all three", "%s %s" % (done, links))


def test_users_and_directories(root, work):
    image = work + "/etc-image"
    os.makedirs(image + "/etc")
    done = run("systemd-sysusers", "--root=" + image,
               root + PREFIX + "/lib/sysusers.d/iommud.conf")
    group = image + "/etc/group"
    ok(os.path.exists(group) and re.search("^iommu:x:[0-9]+:$", read(group),
                                           re.M),
       "sysusers makes the group iommu", done.stdout)
    # Its owners have to be known there.
    with open(image + "/etc/passwd", "a", encoding="ascii") as f:
        f.write("root:x:0:0::/root:/bin/sh\n")
    with open(group, "a", encoding="ascii") as f:
        f.write("root:x:0:\n")
    done = run("systemd-tmpfiles", "--create", "--root=" + image,
               root + PREFIX + "/lib/tmpfiles.d/iommud.conf")
    modes = {d: os.stat(image + d).st_mode & 0o7777
             for d in ("/etc/iommud", "/etc/iommud/iommud.d", "/run/iommud")
             if os.path.isdir(image + d)}
    ok(sorted(modes.values()) == [0o755] * 3,
       "tmpfiles makes the directories", "%s %s" % (done.stdout, modes))


def test_dkms(root):
    top = [root + PREFIX + "/src/" + d
           for d in os.listdir(root + PREFIX + "/src")][0]
    conf = read(top + "/dkms.conf")
    named = sorted(zip(
        re.findall(r'^BUILT_MODULE_LOCATION\[\d+\]="(.*)"', conf, re.M),
        re.findall(r'^BUILT_MODULE_NAME\[\d+\]="(.*)"', conf, re.M)))
    made = []
    for where, _, names in os.walk(top + "/kernel"):
        if "Kbuild" in names:
            made += [(os.path.relpath(where, top), module) for module in
                     re.findall(r"^obj-m \+= (\S+)\.o$",
                                read(where + "/Kbuild"), re.M)]
    ok(named == sorted(made), "dkms.conf names every module",
       "%s, but %s" % (named, sorted(made)))
    version = os.path.basename(top).split("-")[1]
    ok('PACKAGE_VERSION="%s"\n' % version in conf,
       "and the version of its directory", conf)
    missing = [f for d in ("kernel", "uapi") for f in files_below(
        SOURCE + "/" + d) if not f.startswith("selftest") and
        read("%s/%s/%s" % (SOURCE, d, f)) != (
            os.path.exists("%s/%s/%s" % (top, d, f)) and
            read("%s/%s/%s" % (top, d, f)))]
    ok(not missing, "all sources of the modules are there", missing)


def fields(text, package):
    """Of a paragraph of debian/control; package None: the source's."""
    for paragraph in text.split("\n\n"):
        found = dict(re.findall(r"^(\S+): (.*)$", paragraph, re.M))
        if found.get("Package") == package:
            return {name: re.findall(r"(?:^|, )([^ ,]+)", value)
                    for name, value in found.items()}
    return {}


def test_debian(root):
    """What Meson looks for has to come with a package."""
    control = read(SOURCE + "/packaging/debian/control")
    build = fields(control, None)["Build-Depends"]
    needed = [name for f in glob.glob(SOURCE + "/*/meson.build")
              for name in re.findall(r"dependency\('([^']+)'", read(f))
              if name != "threads"]
    # In Debian, "libfoo-1.0" of pkg-config is libfoo-1-dev or libfoo-dev.
    package = {name: "lib%s-dev" % re.sub(r"^lib|\.0$", "", name)
               for name in needed}
    missing = [p for p in package.values() if p not in build]
    ok(len(needed) > 3 and not missing,
       "debian/control: what Meson looks for is in Build-Depends",
       "%s %s" % (missing, needed))
    pc = read(glob.glob(root + PREFIX + "/lib/*/pkgconfig/libiommu.pc")[0])
    private = re.findall(r"(?:: |, )([^ ,]+)",
                         re.search(r"^Requires.private.*", pc, re.M)[0])
    dev = fields(control, "libiommu-dev")["Depends"]
    missing = [name for name in private if package.get(name) not in dev]
    ok(private and not missing, "libiommu-dev brings what its pkg-config file "
       "requires", "%s %s" % (missing, dev))


def main():
    with tempfile.TemporaryDirectory() as work:
        root = work + "/root"
        done = run("meson", "install", "-C", BUILD, "--no-rebuild",
                   "--destdir", root)
        if ok(done.returncode == 0, "meson install", done.stdout):
            test_files(root)
            test_units(root, work)
            test_users_and_directories(root, work)
            test_dkms(root)
            test_debian(root)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
