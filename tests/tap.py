# SPDX-License-Identifier: GPL-2.0-only
"""TAP on standard output, for every test program in Python."""

import re


class Tap:
    """The tests of one program; the plan comes last, or first if it is known.

    Details of a failure come before its line, as from the kselftest harness:
    tests/run.py shows what stands there.
    """

    def __init__(self, prefix="", plan=None):
        self.count = self.failed = 0
        self.prefix = prefix	# of every name
        self.plan = plan
        if plan is not None:
            print("1..%d" % plan, flush=True)

    def note(self, text):
        for line in str(text).splitlines():
            print("#   " + line, flush=True)

    def ok(self, good, what, detail=None):
        """One test. detail, or what it returns, is told if it failed."""
        self.count += 1
        self.failed += not good
        if not good and detail is not None:
            self.note(detail() if callable(detail) else detail)
        print("%sok %d - %s%s" % ("" if good else "not ", self.count,
                                  self.prefix, what), flush=True)
        return bool(good)

    def skip(self, what, why):
        self.count += 1
        print("ok %d - %s%s # SKIP %s" % (self.count, self.prefix, what, why),
              flush=True)

    def take(self, line):
        """A line of somebody else's TAP: one of our tests. Not their plan."""
        if match := re.match(r"(not )?ok\b *\d*", line):
            self.count += 1
            self.failed += bool(match[1])
            line = "%sok %d%s" % (match[1] or "", self.count,
                                  " " + line[match.end():].lstrip())
        if not re.match(r"1\.\.\d+$", line):
            print(line, flush=True)

    def end(self):
        """The plan, unless it was first; the status to exit with."""
        if self.plan is None:
            print("1..%d" % self.count, flush=True)
        return int(bool(self.failed or not self.count or
                        self.plan not in (None, self.count)))
