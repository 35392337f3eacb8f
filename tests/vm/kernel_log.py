# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's log: what of it is trouble, and what of it to show."""

import re
import sys

# Anything in the kernel's log, time stamp removed, that fails the run.
TROUBLE = re.compile(
    r"^(WARNING: |BUG\b|INFO: task .* blocked|INFO: trying to register"
    r"|INFO: possible|Oops|kernel BUG at|general protection fault"
    r"|list_(add|del) corruption|refcount_t: |UBSAN: |Kernel panic"
    r"|Unable to handle|Internal error|pagealloc: |Bad page"
    r"|page_poison|DEBUG_LOCKS_WARN_ON|ODEBUG: |kmemleak: \d+ new"
    r"|rcu: INFO: .*stall|watchdog: BUG)|kernel BUG at|Object padding over")
HEX_DUMP = re.compile(r"(Redzone|Object|Padding) +[0-9a-f]{16}: ")
TIME_STAMP = re.compile(r"^(<\d+>)?\[ *\d+\.\d+\]\s?(\[ *[TC]\d+\]\s?)?")


def find_trouble(lines):
    """Indices of the lines that fail a run."""
    return [i for i, line in enumerate(lines)
            if TROUBLE.search(TIME_STAMP.sub("", line))]


def show_log(lines, around=None, tail=60):
    """The end of a kernel's log, or what surrounds its first trouble."""
    if around is None:
        start, end = max(len(lines) - tail, 0), len(lines)
    else:
        start, end = max(around - 3, 0), min(around + 60, len(lines))
    for line in lines[start:end]:
        if HEX_DUMP.search(line):
            continue
        sys.stderr.write("vm: | " + line + "\n")
    sys.stderr.flush()


def later_than(lines, log):
    """Those of the console's lines that are younger than a saved log."""
    stamp = re.compile(r"^\[ *(\d+\.\d+)\]")
    stamps = [float(m[1]) for m in map(stamp.match, log) if m]
    for at, line in enumerate(lines):
        match = stamp.match(line)
        if match and float(match[1]) > max(stamps, default=0):
            return lines[at:]
    return []
