#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does a device's DMA to a physical address reach memory, or nothing?

    tools/vm ... -- tests/e2e/untranslated.py blocked|passes

edu, without a driver, writes 4096 zero bytes over a pattern. Exits with 1 when
it is not as told.
"""

import sys

import edu
import machine


def reaches_memory(device, page=None):
    """Whether edu changes a page of memory by its physical address."""
    own = page or edu.HugePage()
    dev = edu.Edu(device)
    pattern = bytes(range(1, 129)) * (edu.SIZE // 128)
    own.memory[:edu.SIZE] = pattern
    dev.to_memory(own.address)
    after = own.memory[:edu.SIZE]
    dev.close()
    if not page:
        own.close()
    if after != pattern and after != bytes(edu.SIZE):
        raise OSError("edu wrote what it did not have")
    return after != pattern


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in ("blocked", "passes"):
        sys.exit("usage: untranslated.py blocked|passes")
    device = next(d for d in machine.devices() if d.id == edu.ID)
    if reaches_memory(device) != (sys.argv[1] == "passes"):
        sys.exit("%s: its DMA is not what was expected (%s)"
                 % (device, sys.argv[1]))


if __name__ == "__main__":
    main()
