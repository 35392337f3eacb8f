#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Rules about the tree that a machine can check. Prints TAP."""

import os
import re
import subprocess
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)) + "/..")
from tap import Tap  # noqa: E402

TOP, SOURCE = sys.argv[1], sys.argv[2]
tap = Tap()


def ok(good, what, details=()):
    tap.ok(good, what, "\n".join(list(details)[:20]))


def files(*suffixes, under=""):
    out = subprocess.run(["git", "-C", TOP, "ls-files", "-co",
                          "--exclude-standard", "--", under or "."],
                         capture_output=True, text=True, check=True).stdout
    return [f for f in out.splitlines()
            if f.endswith(suffixes) and os.path.isfile(TOP + "/" + f)]


def text(name):
    with open(TOP + "/" + name, encoding="utf-8", errors="replace") as f:
        return f.read()


def lines_with(pattern, names):
    return ["%s:%d: %s" % (name, nr, line.strip())
            for name in names
            for nr, line in enumerate(text(name).splitlines(), 1)
            if re.search(pattern, line)]


def everything_in(what, words, name):
    body = text(name)
    missing = [w for w in words if not re.search(r"\b%s\b" % w, body)]
    ok(not missing, "%s: each in %s" % (what, name), missing)


def main():
    ours = text("uapi/granule/iommu.h")
    uapi = text("uapi/granule/iommufd.h") + ours
    ioctls = re.findall(r"#define (IOMMU_\w+)\s*\\?\s*_IO\(", uapi)
    reasons = [r for r in re.findall(r"^\t(IOMMU_REASON_\w+) = ", ours, re.M)
               if not r.startswith("IOMMU_REASON_FIELD")]
    caps = re.findall(r"^\t(IOMMU_(?:DEVICE|IOAS)_CAP_\w+) = ", ours, re.M)
    options = re.findall(r"^\t(IOMMU_OPTION_(?!OP_)\w+) = ", uapi, re.M)

    ok(len(ioctls) == 15, "15 ioctls in uapi/ (adapt this count with them)",
       ioctls)
    for name in ("kernel/main.c", "tests/kselftest/cmd.c", "lib/uapi.c",
                 "docs/uapi.md"):
        everything_in("ioctls", ioctls, name)
    everything_in("reasons", reasons, "docs/uapi.md")
    everything_in("reasons", reasons, "lib/error.c")
    everything_in("capabilities", caps, "docs/uapi.md")
    everything_in("capabilities", caps, "kernel/info.c")
    everything_in("options", options, "kernel/option.c")
    kernel = "".join(text(f) for f in files(".c", under="kernel"))
    unused = [r for r in reasons if r != "IOMMU_REASON_NONE" and
              not re.search(r"\b%s\b" % r[len("IOMMU_REASON_"):], kernel)]
    ok(not unused, "reasons: each is given by the kernel", unused)

    code = files(".c", ".h", under="kernel")
    core = [f for f in code if "/compat/" not in f]
    ok(not (bad := lines_with(r"\bHAVE_[A-Z]", core)),
       "differences between kernels are in kernel/compat/ only", bad)
    ok(not (bad := lines_with(r"LINUX_VERSION_CODE|KERNEL_VERSION", code)),
       "no test of kernel versions", bad)
    ok(not (bad := lines_with(r"\b(__[su]64|__[bl]e64)\b",
                              files(".h", under="uapi"))),
       "uapi/: 64 bits are __aligned_u64, at the same place for 32-bit "
       "programs", bad)
    sources = files(".c", ".h")
    ok(not (bad := lines_with(r"\b(TODO|FIXME|XXX)\b", sources)),
       "nothing left to do in the code", bad)
    ok(not (bad := [f for f in sources + files(".py", ".sh", "meson.build")
                    if os.path.getsize(TOP + "/" + f) and
                    "SPDX-License-Identifier" not in text(f)[:200]]),
       "each file names its licence", bad)
    ok(not (bad := ["%s: %d lines" % (f, len(text(f).splitlines()))
                    for f in sources
                    if f.startswith(("kernel", "lib", "cli", "uapi")) and
                    len(text(f).splitlines()) > 800]),
       "no file over 800 lines", bad)
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", text("docs/pains.md"), re.M)
    bad = [f"{nr}: {where}" for nr, where in rows
           if "`" in where and not os.path.exists(
               TOP + "/" + re.search(r"`([^` ]+)", where)[1])]
    ok(sorted(int(nr) for nr, _ in rows) == list(range(1, 30)) and not bad,
       "docs/pains.md: 29 pains, and their tests are there", bad)
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", text("docs/bugs.md"), re.M)
    bad = []
    for nr, where in rows:
        for path, names in re.findall(
                r'`(\w+/[^` ]+)`((?:,?(?: and)? "[^"]+")*)', where):
            if not os.path.exists(f"{TOP}/{path}"):
                bad.append(f"{nr}: {path}")
                continue
            bad += [f"{nr}: {path}: {name}"
                    for name in re.findall('"([^"]+)"', names)
                    if name.rsplit(".", 1)[-1] not in text(path)]
    ok([int(nr) for nr, _ in rows] == list(range(1, len(rows) + 1)) and
       len(rows) > 60 and not bad,
       "docs/bugs.md: published bugs, and their tests are there", bad)
    library = "".join(text(f) for f in files(".h", under="lib"))
    missing = [w for w in re.findall(r"\*(iommu_\w+)\*\(\)",
                                     text("docs/man/libiommu.3.scd"))
               if not re.search(r"\b%s\(" % w, library)]
    ok(not missing, "libiommu(3) names functions that there are", missing)
    script = SOURCE + "/scripts/checkpatch.pl"
    run = subprocess.run(
        ["perl", script, "--no-tree", "--terse", "--no-summary", "--strict",
         "--ignore=LONG_LINE,FILE_PATH_CHANGES,CAMELCASE,MACRO_ARG_REUSE,"
         "AVOID_EXTERNS,UNNECESSARY_ELSE,NEW_TYPEDEFS,SPDX_LICENSE_TAG,"
         "MULTIPLE_ASSIGNMENTS,MSLEEP,COMPLEX_MACRO,UNCOMMENTED_DEFINITION,"
         "LINE_SPACING,CONST_STRUCT,OPEN_ENDED_LINE,MACRO_ARG_PRECEDENCE,MACRO_ARG_UNUSED,"
         "PREFER_KERNEL_TYPES,ENOSYS,BIT_MACRO,PREFER_FALLTHROUGH,"
         "DEEP_INDENTATION,RETURN_VOID,BRACES,PREFER_DEFINED_ATTRIBUTE_MACRO",
         "-f"] + [TOP + "/" + f for f in code],
        capture_output=True, text=True)
    bad = [line.replace(TOP + "/", "") for line in run.stdout.splitlines()
           if "ERROR" in line or "WARNING" in line]
    ok(not bad, "checkpatch on kernel/", bad)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
