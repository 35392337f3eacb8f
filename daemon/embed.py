#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make a C header of text files: embed.py OUTPUT INPUT..."""

import os
import sys

with open(sys.argv[1], "w", encoding="ascii") as out:
    out.write("/* Made from the .varlink files; see embed.py. */\n")
    for path in sys.argv[2:]:
        name = os.path.basename(path).rsplit(".", 1)[0].replace(".", "_")
        out.write("static const char %s[] =\n" % name)
        with open(path, encoding="ascii") as f:
            for line in f:
                line = line.replace("\\", "\\\\").replace('"', '\\"')
                out.write('\t"%s\\n"\n' % line.rstrip("\n"))
        out.write("\t;\n")
