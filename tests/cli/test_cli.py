#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""iommuctl on trees of fixture.py, against golden files. Output is TAP.

usage: test_cli.py [--update] [--mock] IOMMUCTL SOURCE_DIR [SENTENCES]

With --mock, IOMMUCTL has mock.c linked in, and what needs a /dev/iommu is
tested too. --update writes the golden files instead of comparing: look at the
difference before committing it.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from xml.etree import ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + "/.."]
import fixture  # noqa: E402
import schema  # noqa: E402
from tap import Tap  # noqa: E402

UPDATE = "--update" in sys.argv
MOCK = "--mock" in sys.argv
ARGS = [a for a in sys.argv[1:] if not a.startswith("--")]
PROGRAM, SOURCE = os.path.abspath(ARGS[0]), os.path.abspath(ARGS[1])
SENTENCES = ARGS[2] if len(ARGS) > 2 else None
GOLDEN = f"{SOURCE}/golden"
OK, USAGE, NOT_FOUND, BUSY, PERMISSION, REFUSED, NO_MODULE, OTHER = range(8)
DEV = "0000:00:03.0"

tap = Tap()
ok, skip = tap.ok, tap.skip


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __str__(self):
        return (f"status {self.status}\nstdout:\n{self.out}\n"
                f"stderr:\n{self.err}")


def environment(root, mock=None, **more):
    env = dict(os.environ, IOMMU_SYSFS_ROOT=root, **{"LC_ALL": "C", **more})
    env.pop("MOCK", None)
    env.pop("COLUMNS", None)
    if mock:
        env["MOCK"] = mock
    return env


def run(root, *args, mock=None, stdout=subprocess.PIPE, **more):
    done = subprocess.run([PROGRAM, *args], env=environment(root, mock, **more),
                          stdin=subprocess.DEVNULL, stdout=stdout,
                          stderr=subprocess.PIPE, timeout=300, check=False)
    return Result(done.returncode, (done.stdout or b"").decode(),
                  done.stderr.decode())


def fixed(text):
    """Without what differs from run to run."""
    text = re.sub(r"(process|iommuctl-mock \(process) \d+", r"\1 PID", text)
    text = re.sub(r'("pid": )\d+', r"\1PID", text)
    text = re.sub(r'("user_va": )"0x[0-9a-f]+"', r'\1"VA"', text)
    return re.sub(r"(user +)0x[0-9a-f]+", r"\1VA", text)


def golden(name, text):
    path = f"{GOLDEN}/{name}"
    text = fixed(text)
    if UPDATE:
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
    try:
        with open(path, encoding="ascii") as f:
            want = f.read()
    except FileNotFoundError:
        want = "(there is no golden file)"
    ok(text == want, f"golden {name}",
       f"--- want\n{want}\n--- have\n{text}")


# Strings that text leaves out, or writes in another way.
HIDDEN = {"vendor_id", "device_id", "class", "driver_override", "iommu",
          "iommu_driver", "reset_methods", "node", "source", "type"}


def scalars(value, hidden, key=""):
    """All strings of a document that text has to show, too."""
    if key in hidden:
        return
    if isinstance(value, dict):
        for k, v in value.items():
            yield from scalars(v, hidden, k)
    elif isinstance(value, list):
        for v in value:
            yield from scalars(v, hidden, key)
    elif isinstance(value, str):
        yield value


def view(name, root, *args, mock=None, agree=True, hidden=()):
    """A verb that succeeds: both outputs as before, and of one mind."""
    text = run(root, *args, mock=mock)
    ok(text.status == OK and not text.err, f"{name}: succeeds", text)
    golden(f"{name}.txt", text.out)
    js = run(root, *args, "--json", mock=mock)
    try:
        doc = json.loads(js.out)
    except ValueError as e:
        ok(False, f"{name}: --json is JSON", f"{e}\n{js}")
        return
    ok(js.status == OK and not js.err and doc["version"] == 1,
       f"{name}: --json is JSON, version 1", js)
    golden(f"{name}.json", js.out)
    wrong = schema.wrong(schema.verb_of(args), doc)
    ok(not wrong, f"{name}: docs/schema/iommuctl.json", wrong)
    if agree:
        missing = [s for s in scalars(doc, HIDDEN | set(hidden))
                   if s not in text.out]
        ok(not missing, f"{name}: text and JSON agree", missing)


def fails(name, status, pattern, root, *args, **more):
    """One sentence that matches, nothing on stdout, this status."""
    done = run(root, *args, **more)
    lines = done.err.splitlines()
    if status == USAGE and len(lines) == 2:
        ok(lines[1].startswith("See 'iommuctl "), f"{name}: where help is",
           done)
        lines.pop()
    ok(done.status == status and done.out == "" and len(lines) == 1 and
       lines[0].startswith("iommuctl: ") and re.search(pattern, lines[0]),
       name, done)


def test_large_views(virtio):
    """16K pages, by sysfs alone: nothing has to be loaded or opened."""
    for name, args, hidden in (
            ("device-list-16k", ["device", "list"], ()),
            ("device-show-trusted", ["device", "show", "00:04.0"], ()),
            ("device-show-untrusted", ["device", "show", "00:05.0"], ()),
            ("device-show-direct", ["device", "show", "00:06.0"], ()),
            ("device-show-driverless", ["device", "show", "00:07.0"], ()),
            ("device-show-late", ["device", "show", "00:08.0"], ()),
            ("ranges-16k-sysfs", ["ranges", "00:04.0"], {"device"})):
        view(name, virtio, *args, hidden=hidden)
    for slot, driver in ((4, "granule_virtio_iommu"), (1, None)):
        doc = json.loads(run(virtio, "device", "show", f"00:0{slot}.0",
                             "--json").out)
        ok(doc["device"]["iommu_driver"] == driver,
           f"device show --json: IOMMU driver of 00:0{slot}.0", doc)
    os.remove(f"{virtio}/sys/kernel/granule-dma/4/mappings")
    done = run(virtio, "device", "show", "00:04.0")
    ok(done.status == OK and "; - mappings so far, 2 refused" in done.out,
       "device show: a counter that is missing", done)
    fails("large: map of a driven device", BUSY, "driven by nvme", virtio,
          "map", "00:04.0", "--size", "16K")
    fails("large: map of a device that never had a driver", REFUSED,
          "the device has no driver; give it to vfio-pci", virtio, "map",
          "00:08.0", "--size", "16K")
    # No kernel acts on these files: it got as far as trying.
    fails("large: bind of a device without a group yet", OTHER,
          "vfio-pci did not take 0000:00:08.0", virtio, "device", "bind",
          "00:08.0")
    fails("large: bind of a driven device without a group", REFUSED,
          "not behind an IOMMU", virtio, "device", "bind", "00:01.0")


def test_views(host, plain):
    for name, args, hidden in (
            ("device-list", ["device", "list"], ()),
            ("device-show-busy", ["device", "show", "00:1f.2"], {"name"}),
            ("device-show-nvme", ["device", "show", "0000:02:00.0"], ()),
            ("device-show-no-iommu", ["device", "show", "10000:e1:00.0"], ()),
            ("device-show-no-node", ["device", "show", "vfio7"], ()),
            ("group-list", ["group", "list"],
             {"reserved_regions", "vfio", "driver", "name"}),
            ("group-show-viable", ["group", "show", "3"], ()),
            ("group-show-busy", ["group", "show", "4"], ()),
            ("ranges-sysfs", ["ranges", "02:00.0"], {"device"})):
        view(name, host, *args, hidden=hidden)
    view("device-list-plain", plain, "device", "list")
    view("group-list-plain", plain, "group", "list")
    view("version", plain, "version", agree=False)
    view("help", plain, "help", hidden={"options"})
    view("help-device", plain, "help", "device", hidden={"options"})
    view("help-map", plain, "help", "map", agree=False)


def verbs(root):
    return run(root, "--list-verbs").out.splitlines()


def test_help(host):
    names = verbs(host)
    ok("map" in names and "device bind" in names, "--list-verbs", names)
    overview = run(host, "--help")
    ok(overview.status == OK, "--help", overview)
    for name in names:
        done = run(host, *name.split(), "--help")
        ok(done.status == OK and not done.err and
           done.out.startswith(f"Usage: iommuctl {name}") and
           "--json" in done.out, f"{name} --help", done)
        ok(f"  {name} " in overview.out, f"--help has {name}", overview)
        ok(run(host, "help", *name.split()).out == done.out,
           f"help {name} is {name} --help")
        fails(f"{name}: unknown option", USAGE, "no option --nonsense", host,
              *name.split(), "--nonsense")
    ok("bind" in run(host, "device", "--help").out, "device --help")


def test_schema(host):
    have, want = schema.verbs(), set(verbs(host))
    ok(want <= have, "docs/schema/iommuctl.json has each verb", want - have)
    for verb, doc in (("version", {"version": 2, "iommuctl": "0"}),
                      ("version", {"version": 1}),
                      ("version", {"version": 1, "iommuctl": "0", "x": 1}),
                      ("device list", {"version": 1, "devices": [{}]})):
        ok(schema.wrong(verb, doc), f"schema of {verb}: not {doc}")
    for args in (["completion", "bash"], ["version"]):
        doc = json.loads(run(host, *args, "--json").out)
        ok(not schema.wrong(args[0], doc), f"schema of {args[0]}", doc)
    # As tests without a device never see them.
    fault = {"version": 1, "time": "", "kind": "fault", "message": "",
             "access": None}
    lease = {"device": "0000:00:03.0", "group": 1, "user": 0, "process": 1,
             "command": "x", "since": 1, "connected": True, "running": True,
             "attached": True, "ioas": None, "faults": 0, "refused": 0}
    for verb, doc in (("monitor", fault),
                      ("lease list", {"version": 1, "leases": [lease]})):
        ok(not schema.wrong(verb, doc), f"schema of {verb}: {doc}",
           schema.wrong(verb, doc))
    try:
        json.loads('{"a": {"b": 1, "b": 2}}', object_pairs_hook=schema.once)
        ok(False, "members of one name in a schema")
    except ValueError:
        ok(True, "members of one name in a schema are refused")


def test_man(host):
    with open(f"{SOURCE}/../../docs/man/iommuctl.1.scd",
              encoding="utf-8") as f:
        man = f.read()
    doc = json.loads(run(host, "help", "--json").out)
    for verb in doc["verbs"]:
        ok(re.search(rf"^\*{verb['verb']}\*", man, re.M),
           f"iommuctl(1) has {verb['verb']}")
        for option in verb["options"]:
            ok(f"*{option}*" in man,
               f"iommuctl(1) has {verb['verb']} {option}")


def test_watching(plain):
    """Without the module; who sees what is tried in the VM."""
    done = run(plain, "ps")
    ok(done.status == OK and "no context is to be seen" in done.out and
       re.search("^note: .*modprobe granule", done.out, re.M),
       "ps without module: says how to get it", done)
    doc = json.loads(run(plain, "ps", "--json").out)
    ok(doc["contexts"] == [] and len(doc["notes"]) == 1,
       "ps --json without module", doc)
    fails("monitor: no such kind", USAGE, "--kind 'frob' is none", plain,
          "monitor", "--kind", "fault,frob")
    fails("monitor: no kind at all", USAGE, "--kind '' is none", plain,
          "monitor", "--kind", "")
    with open(f"{SOURCE}/../../daemon/org.granule.iommud.varlink",
              encoding="ascii") as f:
        kinds = re.search(r"EventKind \(([^)]*)\)",
                          re.sub("#.*", "", f.read()))[1].split(",")
    with open(f"{SOURCE}/../../docs/man/iommuctl.1.scd",
              encoding="utf-8") as f:
        manual = f.read()
    for kind in map(str.strip, kinds):
        done = run(plain, "monitor", "--kind", kind, "--device", "..")
        ok("no name of a device" in done.err and f"*{kind}*" in manual,
           f"monitor: {kind} of the daemon is a kind, and in the manual", done)
    fails("monitor: no such device", NOT_FOUND, "99:00.0: .*no such device",
          plain, "monitor", "--device", "99:00.0")
    fails("monitor: no device", USAGE, "no name of a device", plain,
          "monitor", "--device", "..")
    fails("monitor: no count", USAGE, "--count '0' is no number", plain,
          "monitor", "--count", "0")


def test_usage(host):
    for name, pattern, *args in (
            ("no such object", "there is no 'frob'", "frob"),
            ("no such verb", "no 'device frob'", "device", "frob"),
            ("object without verb", "needs a verb", "device"),
            ("unknown global option", "no option --frob", "--frob"),
            ("too few arguments", "it needs DEVICE", "device", "show"),
            ("too many arguments", "'b' is one argument too many",
             "device", "show", "a", "b"),
            ("arguments where there are none", "one argument too many",
             "device", "list", "x"),
            ("no device name", "this is no device", "device", "show", "../x"),
            ("blanks are no device name", "this is no device",
             "device", "show", " 0:0.0"),
            ("slot out of range", "this is no device",
             "device", "show", "00:20.0"),
            ("no group number", "no number of a group", "group", "show", "x"),
            ("huge group number", "no number of a group",
             "group", "show", "99999999999999999999"),
            ("short option", "no option -x", "device", "list", "-x"),
            ("flag with value", "takes no value", "map", DEV, "--read=1"),
            ("option without value", "--size needs a value",
             "map", DEV, "--size"),
            ("no size", "--size is missing", "map", DEV),
            ("size 0", "--size is 0", "map", DEV, "--size", "0"),
            ("negative size", "is no size", "map", DEV, "--size", "-1"),
            ("size with nonsense", "is no size", "map", DEV, "--size", "4Kx"),
            ("empty size", "is no size", "map", DEV, "--size="),
            ("size past 64 bits", "does not fit into 64 bits",
             "map", DEV, "--size", "18446744073709551616"),
            ("size past 64 bits by suffix", "does not fit into 64 bits",
             "map", DEV, "--size", "16777216T"),
            ("decimal IOVA", "is no hexadecimal address",
             "map", DEV, "--size", "4K", "--iova", "4096"),
            ("IOVA with nonsense", "is no hexadecimal address",
             "map", DEV, "--size", "4K", "--iova", "0x10 "),
            ("IOVA past 64 bits", "does not fit into 64 bits", "map", DEV,
             "--size", "4K", "--iova", "0x10000000000000000"),
            ("offset without file", "--offset goes with --file",
             "map", DEV, "--size", "4K", "--offset", "4K"),
            ("offset in a page", "not a multiple of the page size", "map", DEV,
             "--size", "4K", "--file", "x", "--offset", "100"),
            ("huge with file", "--huge is for fresh memory", "map", DEV,
             "--size", "2M", "--file", "x", "--huge", "2M"),
            ("unknown huge", "is none of: 2M 1G thp",
             "map", DEV, "--size", "2M", "--huge", "4K"),
            ("unknown memory", "is none of: anonymous thp hugetlb buffer",
             "map", DEV, "--size", "2M", "--memory", "sparse"),
            ("memory with file", "--memory is for fresh memory", "map", DEV,
             "--size", "4K", "--file", "x", "--memory", "thp"),
            ("huge against memory", "--huge 2M and --memory thp exclude",
             "map", DEV, "--size", "2M", "--huge", "2M", "--memory", "thp"),
            ("odd granule", "--granule 12K is no power of two",
             "map", DEV, "--size", "48K", "--granule", "12K"),
            ("granule 0", "--granule 0 is no power of two",
             "map", DEV, "--size", "48K", "--granule", "0"),
            ("granule with nonsense", "is no size",
             "map", DEV, "--size", "48K", "--granule", "large"),
            ("part of a choice", "is none of: 2M 1G thp",
             "map", DEV, "--size", "2M", "--huge", "2M 1G"),
            ("huge with odd size", "not a multiple of the huge page",
             "map", DEV, "--size", "3M", "--huge", "2M"),
            ("exec of nothing", "takes the words that follow",
             "map", DEV, "--size", "4K", "--exec"),
            ("hold and exec", "exclude each other",
             "map", DEV, "--size", "4K", "--hold", "--exec", "true"),
            ("second piece without size", "needs a --size", "map", DEV,
             "--size", "4K", "--iova", "0x0", "--iova", "0x1000"),
            ("maps of no fd", "is no file descriptor", "maps", "--fd", "x"),
            ("maps of process 0", "is no process", "maps", "--pid", "0"),
            ("maps of two", "exclude each other",
             "maps", "--pid", "1", "--fd", "1"),
            ("no such colour", "--color 'red' is none of: auto always never",
             "device", "list", "--color", "red"),
            ("colour of nothing", "--color '' is none of",
             "device", "list", "--color"),
            ("plot of nothing", "it needs a device", "plot"),
            ("plot of two", "but not both", "plot", DEV, "--pid", "1"),
            ("plot too narrow", "no number of columns from 40 to 1000",
             "plot", DEV, "--width", "39"),
            ("doctor without memory", "--size is 0", "doctor", "--size", "0"),
            ("doctor with nonsense", "is no size", "doctor", "--size", "much"),
            ("no such shell", "no completion for 'fish'",
             "completion", "fish"),
            ("help of nothing", "there is no 'frob'", "help", "frob"),
            ("path as driver", "is no name of a driver",
             "device", "bind", DEV, "--driver", "../x")):
        fails(f"usage: {name}", USAGE, pattern, host, *args)
    done = run(host)
    ok(done.status == USAGE and "Usage:" in done.err and not done.out,
       "usage: nothing at all", done)


def test_errors(host, plain):
    for name, status, pattern, *args in (
            ("no such device", NOT_FOUND, "device show 0000:00:09.0: there "
             "is no such device", "device", "show", "0000:00:09.0"),
            ("no such vfio device", NOT_FOUND, "no such device",
             "device", "show", "vfio9"),
            ("no such node", NOT_FOUND, "no such device",
             "ranges", "/dev/vfio/devices/vfio9"),
            ("no such group", NOT_FOUND, "group show 77: there is no such "
             "IOMMU group", "group", "show", "77"),
            ("map of a driven device", BUSY, "driven by nvme; give it to "
             "vfio-pci with 'iommuctl device bind 0000:02:00.0'",
             "map", "02:00.0", "--size", "4K"),
            ("map without node", NO_MODULE, "vfio7 has no node .*modprobe "
             "granule-vfio", "map", "vfio7", "--size", "4K"),
            ("map without IOMMU", REFUSED, "not behind an IOMMU",
             "map", "10000:e1:00.0", "--size", "4K"),
            ("bind without IOMMU", REFUSED, "not behind an IOMMU",
             "device", "bind", "10000:e1:00.0"),
            ("bind in a busy group", BUSY, "group 4 would not be viable, "
             "because 0000:00:1f.2 in it is driven by ahci",
             "device", "bind", "00:1f.0"),
            ("bind to no driver", NO_MODULE, "no driver frob; load its module",
             "device", "bind", "02:00.0", "--driver", "frob"),
            ("unbind of a host driver", REFUSED, "bound to a VFIO driver but "
             "to nvme", "device", "unbind", "02:00.0"),
            ("unbind, one name wrong", NOT_FOUND, "00:09.0: there is no such",
             "device", "unbind", "vfio0", "00:09.0"),
            ("maps of no such process", NOT_FOUND, "no such process",
             "maps", "--pid", "2147483647"),
            ("maps of a process without", NOT_FOUND, "does not have",
             "maps", "--pid", str(os.getpid())),
            ("maps of a closed fd", NOT_FOUND, "fd 77: it is not open here",
             "maps", "--fd", "77"),
            ("maps of another file", REFUSED, "not a file of /dev/iommu",
             "maps", "--fd", "0")):
        fails(f"error: {name}", status, pattern, host, *args)
    fails("error: maps without module", NO_MODULE, "modprobe granule", plain,
          "maps")


def read(root, path):
    with open(f"{root}/{path}", encoding="ascii") as f:
        return f.read()


def test_rollback(make):
    """No kernel acts on these files, so the bind fails and is undone."""
    root = make("host")
    nvme = "sys/bus/pci/devices/0000:02:00.0"
    fails("bind that the driver does not take", OTHER,
          "vfio-pci did not take 0000:02:00.0 .it has nvme now.", root,
          "device", "bind", "02:00.0")
    # A file of sysfs would not keep what was longer before.
    ok(read(root, f"{nvme}/driver_override").startswith("\n"),
       "rollback: driver_override is cleared",
       read(root, f"{nvme}/driver_override"))
    ok(read(root, f"{nvme}/driver/unbind") == "0000:02:00.0",
       "bind: the old driver was told to let go")
    ok(read(root, "sys/bus/pci/drivers_probe") == "0000:02:00.0",
       "bind: the device was probed")
    root = make("host")
    fails("bind of a whole group, undone", OTHER, "did not take 0000:00:1f.2",
          root, "device", "bind", "00:1f.2", "00:1f.2", "--group")
    for path, text in (("00:1f.2", "\n"), ("00:1f.0", "(null)\n")):
        path = f"sys/bus/pci/devices/0000:{path}/driver_override"
        ok(read(root, path).startswith(text),
           f"rollback of a group: {path}", read(root, path))
    root = make("host")
    fails("bind of a group with a bridge", OTHER, "did not take 0000:02:00.0",
          root, "device", "bind", "02:00.0", "--group")
    ok(read(root, "sys/bus/pci/drivers/pcieport/unbind") == "",
       "--group leaves bridges alone")
    fails("unbind that the driver does not heed", OTHER, "vfio-pci took "
          "0000:00:03.0 again", root, "device", "unbind", "vfio0")


def test_unread_class(make):
    """A list of VFIO devices that cannot be read is not an empty one."""
    root = make("host")
    before = run(root, "device", "list").out
    vfio = f"{root}/sys/class/vfio-dev"
    os.rename(vfio, vfio + ".away")
    with open(vfio, "w", encoding="ascii"):
        pass
    after = run(root, "device", "list").out
    ok("vfio0" in before and after == before, "device list: the same where "
       "the class of VFIO devices cannot be read", after)


def test_stdout(host):
    for args in (["device", "list"], ["version"], ["device", "list", "--json"],
                 ["completion", "bash"], ["--help"], ["map", "--help"]):
        with open("/dev/full", "wb") as full:
            done = run(host, *args, stdout=full)
        ok(done.status == OTHER and "standard output cannot be written: No "
           "space left on device" in done.err,
           f"{' '.join(args)} to a full device", done)


def test_colour(host):
    """Off in a pipe, on where asked for, and on a terminal."""
    args = ["group", "show", "3"]
    plain = run(host, *args).out
    always = run(host, *args, "--color", "always").out
    ok("\033[" not in plain and "\033[1m" in always and
       re.sub(r"\033\[[0-9;]*m", "", always) == plain,
       "--color always: the same text, and colours", always)
    for name, more, env, want in (
            ("a terminal", [], {}, True),
            ("NO_COLOR", [], {"NO_COLOR": "1"}, False),
            ("a dumb terminal", [], {"TERM": "dumb"}, False),
            ("--color=never", ["--color=never"], {}, False),
            ("--color=always and NO_COLOR", ["--color=always"],
             {"NO_COLOR": "1"}, True),
            ("--json", ["--json"], {}, False)):
        master, slave = os.openpty()
        run(host, *args, *more, stdout=slave, **{"TERM": "xterm", **env})
        os.close(slave)
        out = b""
        try:
            while more_out := os.read(master, 4096):
                out += more_out
        except OSError:		# all read, and the other end is closed
            pass
        os.close(master)
        ok((b"\033[" in out) == want and b"0000:00:03.0" in out,
           f"colour: {name}", out)


COMPLETE = r"""
source /dev/stdin <<<"$SCRIPT"
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
COMP_LINE=$1 COMP_POINT=${#1}
_iommuctl
printf '%s\n' "${COMPREPLY[@]}"
"""


def complete(script, line):
    done = subprocess.run(["bash", "--norc", "-c", COMPLETE, "-", line],
                          env=dict(os.environ, SCRIPT=script),
                          capture_output=True, text=True, check=False)
    return set(done.stdout.split()) if not done.stderr else {done.stderr}


def test_completion(host):
    script = run(host, "completion", "bash").out
    names = verbs(host)
    for line, words in (
            ("iommuctl ", {n.split()[0] for n in names}),
            ("iommuctl dev", {"device"}),
            ("iommuctl device ", {"list", "show", "bind", "unbind"}),
            ("iommuctl device un", {"unbind"}),
            ("iommuctl device bind --gr", {"--group"}),
            ("iommuctl map x --hu", {"--huge"}),
            ("iommuctl map x --huge ", {"2M", "1G", "thp"}),
            ("iommuctl map x --mem", {"--memory"}),
            ("iommuctl map x --memory ",
             {"anonymous", "thp", "hugetlb", "buffer"}),
            ("iommuctl map x --gran", {"--granule"}),
            ("iommuctl map x --size ", set()),
            ("iommuctl map x --file /dev/nul", {"/dev/null"}),
            ("iommuctl map x --size 4K --exec readlin", {"readlink"}),
            ("iommuctl run 00:03.0 -- readlin", {"readlink"}),
            ("iommuctl policy und", {"undefine"}),
            ("iommuctl completion b", {"bash"}),
            ("iommuctl device list --color ", {"auto", "always", "never"}),
            ("iommuctl doctor --si", {"--size"}),
            ("iommuctl help dev", {"device"})):
        have = complete(script, line)
        ok(have == words or (line == "iommuctl " and have >= words),
           f"completion of '{line}'", f"have {have}\nwant {words}")
    for name in names:
        have = complete(script, f"iommuctl {name} --")
        doc = json.loads(run(host, "help", *name.split(), "--json").out)
        want = set(doc["verbs"][0]["options"]) | {"--json", "--color", "--help"}
        if " -- " in (doc["verbs"][0]["args"] or ""):
            want.add("--")
        ok(have == want, f"completion of the options of {name}",
           f"have {have}\nwant {want}")
    test = "completion of a PCI address"
    try:
        name = sorted(os.listdir("/sys/bus/pci/devices"))[0]
    except (OSError, IndexError):
        skip(test, "this machine has no PCI device")
        return
    # bash replaces only what follows the last colon.
    have = complete(script, f"iommuctl ranges {name[:8]}")
    ok(name[name.rindex(":", 0, 8) + 1:] in have, test, have)


def test_sentences(host):
    done = subprocess.run([SENTENCES, "print"], capture_output=True, text=True,
                          env=environment(host), check=False)
    ok(done.returncode == 0, "sentences can be printed", done.stderr)
    golden("sentences.txt", done.stdout)


def start(root, *args, mock=None, **more):
    """iommuctl map, once it says that it holds."""
    p = subprocess.Popen([PROGRAM, "map", *args], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=environment(root, mock, **more))
    out, end = b"", time.monotonic() + 60
    while b"held until" not in out and time.monotonic() < end:
        if select.select([p.stdout], [], [], 0.1)[0]:
            more_out = os.read(p.stdout.fileno(), 4096)
            if not more_out:
                break
            out += more_out
    return p, out.decode()


def test_live(make):
    host = make("host")
    view("device-show-live", host, "device", "show", "vfio0")
    view("ranges-live", host, "ranges", DEV, hidden={"device"})
    view("device-show-upstream", host, "device", "show", DEV, mock="upstream")
    view("ranges-upstream", host, "ranges", DEV, mock="upstream",
         hidden={"device"})
    done = run(host, "maps")
    ok(done.status == OK and done.out.startswith(
        "no process has /dev/iommu open\n"), "maps of nobody", done)
    fails("a malformed capability chain", OTHER, "Bad message", host,
          "device", "show", DEV, mock="badchain")
    done = run(host, "device", "show", DEV, mock="busy")
    ok(done.status == OK and "note: " in done.out and
       "cannot be claimed" in done.out, "a device that is bound elsewhere",
       done)
    fails("map of a device that is bound elsewhere", OTHER,
          "cannot be claimed: Invalid argument", host, "map", DEV, "--size",
          "4K", mock="busy")

    p, out = start(host, DEV, "--size", "64K", "--iova", "0x100000",
                   "--size", "2M", "--write")
    golden("map.txt", out)
    view("maps-pid", host, "maps", "--pid", str(p.pid), agree=False)
    # Without root there may be a note on processes of others.
    doc = json.loads(run(host, "maps", "--ioas", "2", "--json").out)
    ok([(c["processes"][0]["pid"], a["iova"], a["size"])
        for c in doc["contexts"] for i in c["ioas"] for a in i["areas"]] ==
       [(p.pid, "0x100000", 65536), (p.pid, "0x110000", 2 << 20)],
       "maps finds the process by itself", doc)
    fails("maps of no such IOAS", NOT_FOUND, "there is no IOAS 9", host,
          "maps", "--ioas", "9")
    done = run(host, "maps", mock="upstream")
    ok(done.status == OK and "cannot list mappings" in done.out,
       "maps of another /dev/iommu", done)
    fails("map of a device in use", BUSY,
          rf"in use by process {p.pid} \(iommuctl", host, "map", DEV,
          "--size", "4K", mock="busy")
    fails("unbind of a device in use", BUSY, rf"process {p.pid} \(iommuctl",
          host, "device", "unbind", DEV)
    p.send_signal(signal.SIGTERM)
    ok(p.wait(60) == OK, "map: SIGTERM ends it", p.stderr.read())
    p, out = start(host, DEV, "--size", "4K")
    p.send_signal(signal.SIGINT)
    ok(p.wait(60) == OK, "map: SIGINT ends it", p.stderr.read())


def test_plot(make):
    """The whole space, in order and without gaps, however much is mapped."""
    host = make("host")
    view("plot-free", host, "plot", DEV, hidden={"device", "last", "kind"})
    view("plot-sysfs", host, "plot", "02:00.0",
         hidden={"device", "last", "kind"})
    view("plot-upstream", host, "plot", DEV, mock="upstream",
         hidden={"device", "last", "kind"})
    args = []
    for i in range(60):
        args += ["--size", f"{4 * (1 + i % 7)}K",
                 "--iova", hex(0x100000 * (i + 1) + (i // 20 << 30))]
    p, _ = start(host, DEV, *args, "--read", "--size", "4K", "--iova",
                 "0x7fffff000")
    doc = json.loads(run(host, "plot", DEV, "--json").out)
    segments = [(int(s["start"], 16), int(s["last"], 16))
                for s in doc["segments"]]
    ok(segments[0][0] == 0 and segments[-1][1] == (1 << 64) - 1 and
       all(a[1] + 1 == b[0] for a, b in zip(segments, segments[1:])),
       "plot: no gaps", segments)
    ok(doc["process"]["pid"] == p.pid and doc["ioas"] == 2 and
       sum(s["areas"] for s in doc["segments"]) == 61 and
       sum(s["mapped_bytes"] for s in doc["segments"]) ==
       4096 * (1 + sum(1 + i % 7 for i in range(60))),
       "plot: the address space of who has the device", doc)
    text = run(host, "plot", "--pid", str(p.pid))
    golden("plot-folded.txt", text.out)
    ok(len(text.out.splitlines()) <= 24 + 4, "plot: folded for people", text)
    for width in (40, 80, 100, 200):
        for more in (["--ascii"], []):
            done = run(host, "plot", DEV, "--width", str(width), *more,
                       LC_ALL="C.UTF-8")
            ok(done.status == OK and len(done.out.splitlines()[1]) == width and
               done.out.isascii() == bool(more),
               f"plot: {width} columns {' '.join(more)}", done)
    with tempfile.TemporaryDirectory() as top:
        svg = f"{top}/x.svg"
        os.symlink(f"{top}/victim", svg + ".new")
        run(host, "plot", DEV, "--svg", svg)
        ok(sorted(os.listdir(top)) == ["x.svg", "x.svg.new"],
           "plot --svg: by way of no name that others could make a link of",
           os.listdir(top))
        mask = os.umask(0)
        os.umask(mask)
        ok(os.stat(svg).st_mode & 0o777 == 0o666 & ~mask,
           "plot --svg: who may read it is up to the umask")
        os.unlink(svg + ".new")
        done = run(host, "plot", DEV, "--svg", svg)
        tree = ElementTree.parse(svg)
        rects = [e for e in tree.iter() if e.tag.endswith("}rect")]
        ok(done.status == OK and not done.out and os.listdir(top) == ["x.svg"],
           "plot --svg: one file", done)
        ok(len(rects) == 1 + 2 * (len(text.out.splitlines()) - 4) and
           all(float(r.get("x", 0)) + float(r.get("width")) <= 1000
               for r in rects) and
           not [a for e in tree.iter() for a in e.attrib if "href" in a],
           "plot --svg: all parts, inside the picture, self-contained",
           len(rects))
        fails("plot --svg to nowhere", NOT_FOUND, "/nonexistent/x cannot be "
              "written: No such file", host, "plot", DEV, "--svg",
              "/nonexistent/x")
    ok(run(host, "plot", DEV, "--svg", "-").out.startswith("<svg "),
       "plot --svg -")
    fails("plot of no such IOAS", NOT_FOUND, "there is no IOAS 9", host,
          "plot", "--pid", str(p.pid), "--ioas", "9")
    p.send_signal(signal.SIGTERM)
    p.wait(60)


def held(name, *args, mock):
    """iommuctl map that holds: what it prints."""
    p, out = start(*args, mock=mock)
    p.send_signal(signal.SIGTERM)
    ok(p.wait(60) == OK and "held until" in out, f"{name}: holds",
       out + p.stderr.read().decode())
    return out


def test_large(make):
    """An IOMMU with pages of 16K, or an IOAS that is raised to it."""
    root = make("virtio")
    view("device-show-16k", root, "device", "show", DEV, mock="16k")
    view("ranges-16k", root, "ranges", DEV, mock="16k", hidden={"device"})
    out = held("16k: memory is chosen", root, DEV, "--size", "64K", "--iova",
               "0x10000", "--size", "16K", mock="16k")
    golden("map-16k.txt", out)
    out = held("16k: without huge pages", root, DEV, "--size", "16K",
               mock="16k-nothp")
    ok("fresh, buffer" in out and "--memory buffer was chosen" in out,
       "16k: a buffer where there are no huge pages", out)
    for kind, show in (("thp", "fresh, thp"), ("buffer", "fresh, buffer")):
        out = held(f"16k: --memory {kind}", root, DEV, "--size", "48K",
                   "--memory", kind, mock="16k")
        ok(f"48K   read write  {show}" in out and "note:" not in out,
           f"16k: --memory {kind} says so, and chose nothing", out)
    plain = (r"^iommuctl: map 0000:00:03.0: 3 of 4 granules of 16 KiB of the "
             r"memory are not physically contiguous and aligned, the first at "
             r"0x[0-9a-f]+ in the process, and the IOMMU has no smaller page "
             r"here; use huge pages \(hugetlb, or THP by madvise\), mTHP of "
             r"16 KiB, or a buffer \(IOMMU_BUFFER_ALLOC\)")
    fails("16k: plain memory", REFUSED, plain + "; that is --memory hugetlb, "
          "thp or buffer$", root, "map", DEV, "--size", "64K", "--memory",
          "anonymous", mock="16k")
    fails("16k: THP that is none", REFUSED, plain + "; no huge page was free, "
          "or they are switched off", root, "map", DEV, "--size", "64K",
          "--memory", "thp", mock="16k-nothp")
    fails("16k: a file", REFUSED, plain + "; as to --file, put it on a "
          "hugetlbfs$", root, "map", DEV, "--size", "64K", "--file",
          "/proc/self/exe", "--read", mock="16k")
    fails("16k: nothing will do", REFUSED, "the kernel has only 0 bytes of "
          "the 64 KiB of memory asked for in contiguous pieces of 16 KiB",
          root, "map", DEV, "--size", "64K", mock="16k-none")
    fails("16k: IOVA within a granule", REFUSED, "IOVA 0x11000 is not a "
          "multiple of 0x4000, the IOMMU's smallest page here; 0x10000 is$",
          root, "map", DEV, "--size", "16K", "--iova", "0x11000", mock="16k")
    fails("16k: length", REFUSED, "length 0x1000 is not a multiple of 0x4000",
          root, "map", DEV, "--size", "4K", mock="16k")
    done = run(root, "map", DEV, "--size", "48K", "--size", "16K", "--memory",
               "thp", "--json", "--exec", "sh", "-c",
               'echo $IOMMU_FD,$IOMMU_MEMORY_FD,$IOMMU_MEMORY_OFFSET',
               mock="16k")
    fd, fds, offsets = done.out.strip().split(",")
    doc = json.loads(done.err)
    ok([a["memory"] for a in doc["areas"]] == ["buffer", "thp"] and
       fds == f"{fd} -1" and offsets == "1048576 0" and
       doc["granule"] == 16384 and len(doc["notes"]) == 1,
       "16k: map --exec: a buffer, which CMD can map too", done)

    host = make("host")
    out = held("--granule 64K", host, DEV, "--size", "128K", "--granule",
               "64K", mock=None)
    ok("granule 64K," in out and "--memory thp was chosen, because every 64 "
       "KiB must be one" in out, "--granule 64K: in effect", out)
    out = held("--granule below the IOMMU's", root, DEV, "--size", "16K",
               "--granule", "4K", mock="16k")
    ok("granule 16K," in out, "--granule below the IOMMU's: no effect", out)
    fails("--granule: length", REFUSED, "length 0x4000 is not a multiple of "
          "0x10000", host, "map", DEV, "--size", "16K", "--granule", "64K")
    fails("--granule: too large", REFUSED, "--granule 2G: a granule of 2 GiB "
          "was asked for, and it has to be a power of two from 4 KiB to 1 GiB",
          host, "map", DEV, "--size", "2G", "--granule", "2G")
    fails("--granule upstream", REFUSED, "--granule 16K: this /dev/iommu has "
          "no such option", host, "map", DEV, "--size", "16K", "--granule",
          "16K", mock="upstream")
    fails("--memory buffer upstream", REFUSED, "has no buffers, it is not "
          "Granule's", host, "map", DEV, "--size", "16K", "--memory",
          "buffer", mock="upstream")


def test_map_fails(host):
    for mock in (None, "upstream"):
        name = f"map{' upstream' if mock else ''}: "
        fails(name + "reserved", REFUSED,
              r"^iommuctl: map 0000:00:03.0: IOVA 0xfee00000 is in the "
              r"reserved region 0xfee00000-0xfeefffff \(msi: writes there are "
              r"interrupts\); choose another IOVA, see 'iommuctl ranges "
              r"0000:00:03.0'$", host, "map", DEV, "--size", "4K",
              "--iova", "0xfee00000", mock=mock)
        fails(name + "into reserved", REFUSED, "IOVA 0xfee00000 is in the "
              "reserved region", host, "map", DEV, "--size", "2M",
              "--iova", "0xfed00000", mock=mock)
        fails(name + "aperture", REFUSED, "outside the aperture, the IOMMU "
              "does not translate 0x8000000000-0xffffffffffffffff", host,
              "map", DEV, "--size", "4K", "--iova", "0x8000000000", mock=mock)
        fails(name + "past the end", REFUSED, "pass the end of the address",
              host, "map", DEV, "--size", "8K", "--iova",
              "0xfffffffffffff000", mock=mock)
        fails(name + "overlap", REFUSED, "IOVA 0x20f000 is in use by the "
              "mapping", host, "map", DEV, "--size", "64K", "--iova",
              "0x200000", "--iova", "0x20f000", "--size", "4K", mock=mock)
        fails(name + "misaligned", REFUSED, "IOVA 0x100800 is not a multiple "
              "of 0x1000.*; 0x100000 is$", host, "map", DEV, "--size", "4K",
              "--iova", "0x100800", mock=mock)
        limited = subprocess.run(
            ["bash", "-c", 'ulimit -l 64 && exec "$@"', "-", PROGRAM, "map",
             DEV, "--size", "1M"], capture_output=True, text=True,
            env=environment(host, mock, MOCK_MEMLOCK="1"), check=False)
        ok(limited.returncode == REFUSED and re.search(
            r"RLIMIT_MEMLOCK\) is 64 KiB, 0 bytes are used and 1 MiB more are "
            r"needed; raise it to at least 1024 KiB \('ulimit -l 1024', or "
            r"LimitMEMLOCK=1024K in a systemd unit\), or run with "
            r"CAP_IPC_LOCK$", limited.stderr), name + "memlock",
           limited.stderr)
    fails("map: length", REFUSED, "length 0x1388 is not a multiple of 0x1000",
          host, "map", DEV, "--size", "5000")
    fails("map: too much", REFUSED, "bytes of memory cannot be had", host,
          "map", DEV, "--size", "9000000T")
    fails("map: no such file", NOT_FOUND, "/nonexistent: No such file", host,
          "map", DEV, "--size", "4K", "--file", "/nonexistent")


def test_exec(host):
    with tempfile.NamedTemporaryFile() as f:
        f.write(b"a" * 4096 + b"b" * 8192)
        f.flush()
        done = run(host, "map", DEV, "--size", "8K", "--file", f.name,
                   "--offset", "4K", "--read", "--exec", "sh", "-c",
                   f'"{PROGRAM}" maps --fd $IOMMU_FD')
        ok(done.status == OK and re.search("8K +read +user", done.out) and
           f"{f.name} at 4096" in done.err, "map --file --exec maps --fd",
           done)
        fails("map past the end of a file", REFUSED, "has 12288 bytes, but "
              "12288 from offset 4096 on", host, "map", DEV, "--size", "12K",
              "--file", f.name, "--offset", "4K")
    done = run(host, "map", DEV, "--size", "8K", "--iova", "0x1000",
               "--size", "4K", "--exec", "sh", "-c",
               'echo "$IOMMU_DEVICE,$IOMMU_IOVA,$IOMMU_LENGTH,$IOMMU_IOAS"; '
               'head -c 4 /proc/self/fd/${IOMMU_MEMORY_FD% *} | wc -c; '
               'readlink "/proc/self/fd/$IOMMU_FD"'
               ' "/proc/self/fd/$IOMMU_DEVICE_FD"')
    ok(done.out == f"{DEV},0x1000 0x3000,8192 4096,2\n4\n{host}/dev/iommu\n"
       f"{host}/dev/vfio/devices/vfio0\n", "map --exec: what CMD gets", done)
    for want, command in ((0, ["true"]), (42, ["sh", "-c", "exit 42"]),
                          (143, ["sh", "-c", "kill -TERM $$"]),
                          (127, ["/nonexistent"]), (126, ["/dev/null"])):
        done = run(host, "map", DEV, "--size", "4K", "--exec", *command)
        ok(done.status == want, f"map --exec: status {want}", done)
    done = run(host, "map", DEV, "--size", "4K", "--json", "--exec", "true")
    doc = json.loads(done.err)
    ok(doc["areas"][0]["size"] == 4096 and not done.out and
       not schema.wrong("map", doc), "map --json --exec: stdout is CMD's", done)
    done = run(host, "map", DEV, "--size", "64K", "--size", "4K", "--progress",
               "--exec", "true")
    ok(done.status == OK and
       re.search(r"^mapped: 68K pinned in \d+\.\d s$", done.err, re.M),
       "map --progress", done)
    done = run(host, "map", DEV, "--size", "64K", "--iova", "0xfee00000",
               "--progress", "--exec", "true")
    ok(done.status == REFUSED and "mapped:" not in done.err,
       "map --progress: a map that fails is not told to be done", done)
    with open("/dev/full", "wb") as full:
        done = run(host, "map", DEV, "--size", "4K", stdout=full)
    ok(done.status == OTHER and "cannot be written" in done.err,
       "map to a full device does not hold", done)


def main():
    with tempfile.TemporaryDirectory() as top:
        made = []

        def make(name):
            root = f"{top}/{len(made)}"
            made.append(root)
            fixture.build(f"{SOURCE}/fixtures/{name}.txt", root)
            return root

        host, plain = make("host"), make("plain")
        if MOCK:
            test_live(make)
            test_large(make)
            test_plot(make)
            test_map_fails(host)
            test_exec(host)
        else:
            test_help(host)
            test_man(host)
            test_schema(host)
            test_completion(host)
            test_sentences(host)
        # The rest looks at sysfs only; with the mock, sanitizers see it.
        host = make("host")
        test_views(host, plain)
        test_large_views(make("virtio"))
        test_usage(host)
        test_watching(plain)
        test_errors(host, plain)
        test_rollback(make)
        test_unread_class(make)
        test_stdout(host)
        test_colour(host)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
