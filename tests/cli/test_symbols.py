#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The headers, the symbol map and the library have the same functions (TAP).

usage: test_symbols.py HEADER... MAP LIBRARY
"""

import os
import re
import subprocess
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)) + "/..")
from tap import Tap  # noqa: E402

*headers, symbol_map, library = sys.argv[1:]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


code = re.sub(r"/\*.*?\*/", "", "".join(map(read, headers)), flags=re.S)
declared = set(re.findall(r"\b(iommu_\w+)\(", code))
mapped = set(re.findall(r"^\t(\w+);", read(symbol_map), re.M))
nm = subprocess.run(["nm", "-D", "--defined-only", library],
                    capture_output=True, text=True, check=True).stdout
exported = {line.split()[2].split("@")[0] for line in nm.splitlines()
            if line.split()[1] == "T"}
dynamic = subprocess.run(["readelf", "-d", library], capture_output=True,
                         text=True, check=True).stdout

tests = (
    ("every declared function is in the map", declared - mapped),
    ("every function of the map is declared", mapped - declared),
    ("every function of the map is exported", mapped - exported),
    ("nothing else is exported", exported - mapped),
    ("the soname is libiommu.so.0",
     set() if "soname: [libiommu.so.0]" in dynamic else {dynamic}),
)
tap = Tap()
for name, wrong in tests:
    tap.ok(not wrong, name, "\n".join(sorted(wrong)))
sys.exit(tap.end())
