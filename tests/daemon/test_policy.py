#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What iommud --check says of wrong policies: file, line, key and sentence.

usage: test_policy.py IOMMUD
"""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/..")
from tap import Tap  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])

# Text (line 1 is what follows the quotes), and what each error line holds.
WRONG = [
    ('{"version": 1,\n}', ["t.json:2: is not JSON: "]),
    ('{"version": 1} x', ["t.json:1: is not JSON: "]),
    ('', ["t.json:1: is not JSON: "]),
    ('[]', ["t.json:1: has to be an object"]),
    ('"version"', ["t.json:1: has to be an object"]),
    ('{}', ["t.json:1: 'version' is missing"]),
    ('{"version": 2}', ["t.json:1: version: 2 is not from 1 to 1"]),
    ('{"version": "1"}', ["t.json:1: version: has to be a number"]),
    ('{"version": 1.0}', ["t.json:1: version: has to be a number"]),
    ('{"version": 1,\n"device": {}}',
     ["t.json:2: device: 'device' is not known here; there are: version, "
      "settings, limits, devices, ioases"]),
    ('{"version": 1,\n"version": 1}', ["t.json:2: version: is there twice"]),
    ('{"version": 1,\n"devices": {"a": {"match":\n{"vendor": "0x1"},\n'
     '"users": [],\n"users": []}}}',
     ["t.json:5: devices.a.users: is there twice"]),
    ('{"version": 1, "devices": []}',
     ["t.json:1: devices: has to be an object"]),
    ('{"version": 1, "devices": {"a b": {}}}',
     ["devices.a b: 'a b' is no name"]),
    ('{"version": 1, "devices": {"' + "a" * 33 + '": {}}}', ["is no name"]),
    ('{"version": 1, "devices": {"": {}}}', ["'' is no name"]),
    ('{"version": 1, "devices": {"a": {}}}',
     ["devices.a: 'match' is missing"]),
    ('{"version": 1, "devices": {"a": {"match": null}}}',
     ["devices.a.match: has to be an object"]),
    ('{"version": 1, "devices": {"a": {"match": {}}}}',
     ["devices.a.match: matches every device"]),
    ('{"version": 1, "devices": {"a": {"match": {"device": "0x1"}}}}',
     ["devices.a.match: 'device' means nothing without 'vendor'"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "1234"}}}}',
     ["devices.a.match.vendor: '1234' is no number from 0x0 to 0xffff"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x12345"}}}}',
     ["is no number from 0x0 to 0xffff"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x"}}}}',
     ["is no number"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x-1"}}}}',
     ["is no number"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": 4660}}}}',
     ["has to be a hexadecimal number as a string"]),
    ('{"version": 1, "devices": {"a": {"match": {"address": "00:03.0"}}}}',
     ["devices.a.match.address: '00:03.0' is no PCI address"]),
    ('{"version": 1, "devices": {"a": {"match": {"address": ""}}}}',
     ["'' is no PCI address"]),
    ('{"version": 1, "devices": {"a": {"match":\n'
     '{"address": "0000:00:03.0\\u0000"}}}}',
     ["t.json:2: devices.a.match.address: has a NUL character"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x1"},\n'
     '"users": "root"}}}',
     ["t.json:2: devices.a.users: has to be a list"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x1"},\n'
     '"users": [\n"root",\n"no-such-user", 7]}}}',
     ["t.json:4: devices.a.users[1]: there is no user 'no-such-user'",
      "t.json:4: devices.a.users[2]: has to be a name"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x1"}, '
     '"groups": ["no-such-group"]}}}',
     ["devices.a.groups[0]: there is no group 'no-such-group'"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x1"}, '
     '"start": "always"}}}',
     ["devices.a.start: 'always' is none of: manual boot"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x1"}, '
     '"driver": "../x"}}}', ["devices.a.driver: '../x' is no name"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x1"}, '
     '"ioas": "b"}}}', ["devices.a.ioas: there is no IOAS 'b' in 'ioases'"]),
    ('{"version": 1, "devices": {"a": {"match": {"vendor": "0x1"}, '
     '"reset": true}}}', ["devices.a.reset: has to be a word"]),
    ('{"version": 1, "ioases": {"a": {}}}',
     ["ioases.a: 'regions' is missing"]),
    ('{"version": 1, "ioases": {"a": {"regions": {"r": {}}}}}',
     ["ioases.a.regions.r: 'size' is missing",
      "ioases.a.regions.r: 'iova' is missing"]),
    ('{"version": 1, "ioases": {"a": {"regions": {"r": {"size": 5000, '
     '"iova": "0x0"}}}}}',
     ["ioases.a.regions.r: size and iova have to be multiples of 4096"]),
    ('{"version": 1, "ioases": {"a": {"regions": {"r": {"size": "2M", '
     '"iova": "0x1000", "huge_pages": "2M"}}}}}',
     ["have to be multiples of 2097152"]),
    ('{"version": 1, "ioases": {"a": {"regions": {"r": {"size": "6K", '
     '"iova": "0x0", "huge_pages": "6K"}}}}}', ["not a power of two"]),
    ('{"version": 1, "ioases": {"a": {"regions": {\n'
     '"r": {"size": "8K", "iova": "0x1000"},\n'
     '"s": {"size": "4K", "iova": "0x2000"}}}}}',
     ["t.json:3: ioases.a.regions.s: overlaps region 'r'"]),
    ('{"version": 1, "ioases": {"a": {"regions": {"r": {"size": "4X", '
     '"iova": "0x0"}}}}}', ["'4X' is no size"]),
    ('{"version": 1, "ioases": {"a": {"regions": {"r": {"size": '
     '"99999999999999999999G", "iova": "0x0"}}}}}', ["is no size"]),
    ('{"version": 1, "ioases": {"a": {"regions": {"r": {"size": -4096, '
     '"iova": "0x0"}}}}}', ["-4096 is not from 4096"]),
    ('{"version": 1, "ioases": {"a": {"regions": {"r": {"size": "4K", '
     '"iova": "0x0", "access": "all"}}}}}',
     ["access: 'all' is none of: read write read-write"]),
    ('{"version": 1, "limits": {"no-such-user": {}}}',
     ["limits.no-such-user: there is no user 'no-such-user'"]),
    ('{"version": 1, "limits": {"*": {"devices": -1}}}',
     ["limits.*.devices: -1 is not from 0"]),
    ('{"version": 1, "limits": {"*": {"device": 1}}}',
     ["limits.*.device: 'device' is not known here"]),
    ('{"version": 1, "settings": {"connections": 0}}',
     ["settings.connections: 0 is not from 1"]),
    ('{"version": 1, "settings": {"timeout": null}}',
     ["settings.timeout: has to be a number"]),
    ('{"version": 1, "devices": ' + "[" * 60 + "]" * 60 + "}",
     ["t.json:1: is not JSON: nesting too deep"]),
    (b'{"version": 1, "devices": {"\xff\xfe": {}}}',
     ["t.json:1: is not JSON: "]),
    (b'{"version": 1}\0', ["t.json:1: is not JSON: "]),
    ("x" * (2 << 20), ["t.json:0: cannot be read: File too large"]),
]

RIGHT = [
    '{"version": 1}',
    '{"version": 1, "devices": {}, "ioases": {}, "limits": {}, '
    '"settings": {}}',
    '{"version": 1, "devices": {"a": null}}',
    '{"version": 1, "devices": {"a": {"match": {"vendor": "0x1234", '
    '"device": "0x11e8", "class": "0x00ff00", "address": "0000:00:03.0"}, '
    '"driver": "vfio-pci", "start": "boot", "users": ["root", "0"], '
    '"groups": ["root"], "ioas": "p", "accounting": "process", '
    '"reset": "required"}}, "ioases": {"p": {"regions": {"r": '
    '{"size": "2M", "iova": "0x0", "huge_pages": "2M", "access": "read"}}, '
    '"users": ["root"]}}, "limits": {"*": {"devices": 3, "memlock": "1G"}, '
    '"root": {}}, "settings": {"connections": 10, '
    '"connections_per_user": 5, "timeout": 3}}',
]


def check(files):
    with tempfile.TemporaryDirectory() as config:
        for name, text in files.items():
            path = config + "/" + name
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
        done = subprocess.run([PROGRAM, "--check", "--config", config],
                              capture_output=True, text=True, check=False,
                              timeout=300)
        return done.returncode, done.stderr.replace(
            "iommud: " + config + "/", "")


def main():
    tap = Tap()
    for text, wanted in WRONG:
        status, said = check({"t.json": text})
        lines = said.splitlines()
        good = status == 1 and len(lines) == len(wanted) and all(
            w in line for w, line in zip(wanted, lines))
        name = repr(text if len(text) < 100 else text[:60] + text[-20:])
        tap.ok(good, "wrong: " + name.replace("#", "\\#"),
               "status %d: %s\nwanted: %s" % (status, said, wanted))
    for text in RIGHT:
        status, said = check({"t.json": text})
        tap.ok(status == 0 and not said, "right: " + text[:60], said)

    status, said = check({
        "b.json": '{"version": 1, "devices": {"a": {"match": {}}}}',
        "a.json": '{"version": 1, "devices": {"b": {"match": {}}}}',
        "iommud.d/c.json": '{"version": 1, "x": 0}',
        "ignored": "x", ".hidden.json": "x"})
    tap.ok([line.split(":")[0] for line in said.splitlines()] ==
           ["a.json", "b.json", "iommud.d/c.json"],
           "all files are read, in order, and every error is told", said)
    status, said = check({
        "a.json": '{"version": 1, "devices": {"a": {"match": '
                  '{"vendor": "0x1"}, "ioas": "p"}}}',
        "iommud.d/z.json": '{"version": 1, "devices": {"a": null}}'})
    tap.ok(status == 0, "a later file takes a definition away", said)
    status, said = check({})
    tap.ok(status == 0, "no files are a policy too", said)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
