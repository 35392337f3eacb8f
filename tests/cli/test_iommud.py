#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""iommuctl and libiommu's client with the real iommud on a made-up /sys, and
with daemons that answer nonsense. Output is TAP.

usage: test_iommud.py IOMMUCTL IOMMUD SOURCE_DIR
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM, IOMMUD, SOURCE = (os.path.abspath(a) for a in sys.argv[1:4])
sys.path[:0] = [SOURCE + "/tests/daemon", SOURCE + "/tests/cli",
                SOURCE + "/tests"]
import fixture  # noqa: E402
import schema  # noqa: E402
from harness import Daemon  # noqa: E402
from tap import Tap  # noqa: E402

OK, USAGE, NOT_FOUND, BUSY, PERMISSION, REFUSED, NO_MODULE, OTHER = range(8)
DEV, NVME, BUSY_DEV = "0000:00:03.0", "0000:02:00.0", "0000:00:1f.0"
NOBODY = 65534
ROOT = os.geteuid() == 0

POLICY = {
    "devices": {
        "edu": {"match": {"vendor": "0x1234", "device": "0x11e8"},
                "users": [str(NOBODY)]},
    },
}

tap = Tap()
ok = tap.ok


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.out, self.err = done.stdout.decode(), done.stderr.decode()

    def __str__(self):
        return (f"status {self.status}\nstdout:\n{self.out}\n"
                f"stderr:\n{self.err}")


class Place:
    """Where iommuctl runs: a tree, and the socket of a daemon."""

    def __init__(self, root, path):
        self.env = dict(os.environ, IOMMU_SYSFS_ROOT=root, LC_ALL="C",
                        IOMMUD_SOCKET=path)

    def run(self, *args, stdin="", user=None):
        return Result(subprocess.run(
            [PROGRAM, *args], env=self.env, input=stdin.encode(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300,
            check=False, user=user, group=user,
            extra_groups=None if user is None else []))

    def fails(self, what, status, pattern, *args, **how):
        done = self.run(*args, **how)
        ok(done.status == status and not done.out and
           re.search(pattern, done.err), what, done)

    def json(self, *args, **how):
        """What --json prints, checked against the text for its success."""
        done = self.run(*args, "--json", **how)
        try:
            doc = json.loads(done.out)
        except ValueError:
            doc = {}
        ok(done.status == OK and not done.err and doc.get("version") == 1,
           f"{' '.join(args)} --json", done)
        wrong = schema.wrong(schema.verb_of(args), doc)
        ok(not wrong, f"{' '.join(args)}: docs/schema/iommuctl.json", wrong)
        return doc

    def says(self, pattern, *args, **how):
        done = self.run(*args, **how)
        ok(done.status == OK and re.search(pattern, done.out),
           " ".join(args), done)


# ---- The real daemon ----

def test_status(place):
    place.says(r"(?s)iommud +0\..*policy +in force, 1 definitions.*"
               r"leases +0", "status")
    doc = place.json("status")
    ok(doc["daemon"]["definitions"] == 1 and
       doc["daemon"]["policy_errors"] == [], "status: the daemon's own words",
       doc)


def test_policy(place, daemon):
    place.says(rf"device +edu +{DEV} +.*/test.json:1", "policy", "list")
    ok(place.json("policy", "list")["definitions"][0]["name"] == "edu",
       "policy list: name")
    place.says(r'"vendor": "0x1234"', "policy", "show", "device", "edu")
    place.fails("policy show: no such", NOT_FOUND, "no device 'gpu' is "
                "defined; 'iommuctl policy list'", "policy", "show", "device",
                "gpu")
    place.fails("policy show: no such kind", USAGE,
                "'gizmo' is none of: device ioas limit", "policy", "show",
                "gizmo", "edu")
    shown = place.run("policy", "show", "device", "edu").out
    done = place.run("policy", "define", "device", "copy", "-", stdin=shown)
    ok(done.status == OK and "device 'copy' is defined" in done.out,
       "policy define: what show prints", done)
    ok(place.run("policy", "show", "device", "copy").out == shown,
       "and shows it again")
    place.says("'copy' is no longer", "policy", "undefine", "device", "copy")
    place.says("limit '\\*' is defined", "policy", "define", "limit", "*",
               '{"devices": 4}')
    place.says("limit '\\*' is no longer", "policy", "undefine", "limit", "*")
    place.fails("policy define: wrong", REFUSED, r"(?s)the policy would be "
                r"wrong with it.*limit-others.json:\d+: limits.\*.devices: ",
                "policy", "define", "limit", "*", '{"devices": "many"}')
    place.fails("policy define: no JSON", USAGE, "is no JSON object",
                "policy", "define", "limit", "*", "{x}")
    place.fails("policy define: a list", USAGE, "is no JSON object",
                "policy", "define", "limit", "*", "-", stdin="[]")
    place.fails("policy define: no such file", NOT_FOUND, "/nonexistent: No "
                "such file", "policy", "define", "limit", "*", "/nonexistent")
    place.fails("policy undefine: a file of people", REFUSED,
                "which people write; remove it there", "policy", "undefine",
                "device", "edu")
    place.says("the files of the policy are right", "policy", "check")
    place.says("the policy is read again", "policy", "reload")
    daemon.write_policy('{\n"version": 1,\n"devices": {"x": {"match": {}}}\n}',
                        "wrong.json")
    done = place.run("policy", "check")
    ok(done.status == REFUSED and re.search(
        r"wrong.json:3: devices.x.match", done.out), "policy check: file, "
       "line and key; status 5", done)
    doc = json.loads(place.run("policy", "check", "--json").out)
    ok(doc["errors"][0]["line"] == 3, "policy check --json", doc)
    place.fails("policy reload: wrong", REFUSED, r"(?s)the old one stays.*"
                r"wrong.json:3: devices.x.match", "policy", "reload")
    os.unlink(daemon.config + "/wrong.json")
    place.fails("policy start: no such", NOT_FOUND, "'gpu'", "policy",
                "start", "gpu")


def test_ioas(place):
    place.says("ioas 'pool' is defined", "ioas", "create", "pool", "--region",
               "ring=64K@0x100000,access=read", "--region", "data=1M@0x200000",
               "--user", str(NOBODY))
    place.says("pool +1088K +(ring data|data ring) +-", "ioas", "list")
    ok(place.json("ioas", "list")["ioases"][0]["name"] == "pool",
       "ioas list: name")
    place.says(rf"(?s)users +{NOBODY}.*ring +0x100000 +64K +read +-",
               "ioas", "show", "pool")
    doc = place.json("ioas", "show", "pool")["ioas"]
    ok(doc["users"] == [str(NOBODY)] and doc["groups"] == [] and
       {r["name"]: r["size"] for r in doc["regions"]} ==
       {"ring": 65536, "data": 1 << 20}, "ioas show: regions, owners", doc)
    script = ('import os, sys; os.pwrite(int(sys.argv[1]), b"kept", 4096);'
              'print(sys.argv[2:], os.environ["IOMMU_LENGTH"])')
    done = place.run("ioas", "open", "pool", "--", "python3", "-c", script,
                     "{region.data}", "{iova.ring}", "{size.ring}", "{{x}",
                     '{"a": {}}')
    ok(done.status == OK and "['0x100000', '65536', '{x}', '{\"a\": {}}']"
       in done.out and "65536" in done.out, "ioas open: descriptors, IOVAs, "
       "sizes", done)
    script = "import os, sys; print(os.pread(int(sys.argv[1]), 4, 4096))"
    done = place.run("ioas", "open", "pool", "--", "python3", "-c", script,
                     "{region.data}", user=NOBODY if ROOT else None)
    ok("b'kept'" in done.out, "another process finds the bytes", done)
    if ROOT:
        place.fails("ioas open: another user", PERMISSION, "user 12345 may "
                    "not open IOAS 'pool'", "ioas", "open", "pool", "--",
                    "true", user=12345)
        place.fails("ioas create: another user", PERMISSION, "", "ioas",
                    "create", "mine", "--region", "a=64K@0x0", user=NOBODY)
    place.fails("ioas open: no such region", NOT_FOUND, "there is no region "
                "'tail'", "ioas", "open", "pool", "--", "echo",
                "{region.tail}")
    place.fails("ioas open: no devices", USAGE, "there are 0 devices", "ioas",
                "open", "pool", "--", "echo", "{device}")
    place.fails("ioas open: no such", NOT_FOUND, "there is no IOAS 'lake'",
                "ioas", "open", "lake", "--", "true")
    for spec, pattern in (("ring", "is not like"), ("=4K@0x0", "is not like"),
                          ("a=4K", "is not like"), ("a=x@0x0", "is not like"),
                          ("a=4K@12", "is not like"),
                          ("a=4K@0x0,huge=", "is not like"),
                          ("a=4K@0x0,colour=red", "is not like")):
        place.fails(f"ioas create --region {spec}", USAGE, pattern, "ioas",
                    "create", "bad", "--region", spec)
    place.fails("ioas create: twice", USAGE, "is there twice", "ioas",
                "create", "bad", "--region", "a=4K@0x0", "--region",
                "a=4K@0x10000")
    place.fails("ioas create: no memory", USAGE, "needs memory", "ioas",
                "create", "bad")
    place.fails("ioas create: the daemon's rules", REFUSED,
                r"ioas-bad.json:\d+: ioases.bad.regions.a.access", "ioas",
                "create", "bad", "--region", "a=4K@0x0,access=none")
    for spec, size in (("a=64k@0x0", 65536), ("a=0x1000@0x0", 4096),
                       ("a=2m@0x0,huge=4k", 2 << 20)):
        place.says("ioas 'any' is defined", "ioas", "create", "any",
                   "--region", spec)
        doc = place.json("ioas", "show", "any")["ioas"]
        ok(doc["regions"][0]["size"] == size, f"--region {spec}: what the "
           "tool reads the daemon reads as well", doc)
    place.says("ioas 'any' is no longer", "ioas", "destroy", "any")
    place.says("IOAS pool: mapped tail, more", "map", "pool", "--region",
               "tail=4K@0x1000000,access=write", "--region", "more=8K@0x0")
    place.says("(?s)no device is attached", "ranges", "pool")
    done = subprocess.run(
        ["bash", "-c", "source <(iommuctl completion bash); COMP_POINT=99; "
         "COMP_LINE='iommuctl unmap po'; _iommuctl; echo ${COMPREPLY[*]}"],
        env=dict(place.env, PATH=os.path.dirname(PROGRAM) + ":" +
                 os.environ["PATH"]), capture_output=True, check=False,
        timeout=300)
    ok(done.stdout == b"pool\n" or "mock" in PROGRAM,
       "bash completes names of IOASes", done)
    doc = place.json("ranges", "pool")
    ok([(r["name"], r["iova"]) for r in doc["regions"]] ==
       [("more", "0x0"), ("ring", "0x100000"), ("data", "0x200000"),
        ("tail", "0x1000000")] and doc["iova_ranges"] is None,
       "ranges IOAS: its regions, by IOVA", doc)
    done = place.run("ioas", "open", "pool", "--", "python3", "-c",
                     script.replace("4096", "4"), "{region.tail}")
    ok(done.status == OK, "a new region can be opened", done)
    done = place.run("ioas", "open", "pool", "--", "python3", "-c", script,
                     "{region.data}")
    ok("b'kept'" in done.out, "and the others are the same", done)
    place.fails("map IOAS: there already", REFUSED, "has a region 'ring' "
                "already", "map", "pool", "--region", "ring=4K@0x8000000")
    place.fails("map IOAS: overlap", REFUSED, "overlaps region", "map", "pool",
                "--region", "ok=4K@0x9000000", "--region", "bad=4K@0x101000")
    place.fails("map IOAS: a device's option", USAGE, "for an IOAS", "map",
                "pool", "--region", "a=4K@0x9000000", "--hold")
    place.fails("map IOAS: no such", NOT_FOUND, "there is no IOAS 'lake'",
                "map", "lake", "--region", "a=4K@0x0")
    place.fails("map IOAS: no region", USAGE, "size is missing", "map", "pool")
    place.fails("ranges: neither", NOT_FOUND, "has no IOAS 'lake'", "ranges",
                "lake")
    place.fails("ranges: no name", USAGE, "this is no device", "ranges", "a.b")
    place.fails("unmap: no such", NOT_FOUND, "has no region 'gone'", "unmap",
                "pool", "more", "gone")
    if ROOT:
        place.fails("unmap: another user", PERMISSION, "", "unmap", "pool",
                    "more", user=NOBODY)
    ok({r["name"] for r in place.json("ioas", "show", "pool")["ioas"]
        ["regions"]} == {"ring", "data", "tail", "more"},
       "what was refused has changed nothing")
    place.says("IOAS pool: unmapped more, tail", "unmap", "pool", "more",
               "tail")
    ok({r["name"] for r in place.json("ioas", "show", "pool")["ioas"]
        ["regions"]} == {"ring", "data"}, "unmap: they have gone")
    ok(place.json("unmap", "pool", "ring")["done"] ==
       "IOAS pool: unmapped ring", "unmap --json")
    place.says("ioas 'pool' is no longer", "ioas", "destroy", "pool")
    place.fails("ioas show: gone", NOT_FOUND, "no ioas 'pool' is defined",
                "ioas", "show", "pool")


def test_devices(place, root):
    place.says("DEVICE +USER", "lease", "list")
    ok(place.json("lease", "list")["leases"] == [], "lease list: none")
    place.fails("lease release: not leased", NOT_FOUND, f"{DEV} is not leased",
                "lease", "release", DEV)
    place.fails("device unbind --daemon: the daemon's sentence", REFUSED, NVME,
                "device", "unbind", "--daemon", NVME)
    place.fails("device bind --daemon: busy", BUSY, BUSY_DEV, "device", "bind",
                "--daemon", BUSY_DEV)
    place.fails("--daemon --direct", USAGE, "exclude each other", "device",
                "bind", "--daemon", "--direct", DEV)
    if ROOT:
        place.fails("device bind: not root, so the daemon is asked",
                    PERMISSION, "user 65534 may not call .*Bind|root", "device",
                    "bind", NVME, user=NOBODY)
        place.fails("device bind --direct: not root", PERMISSION,
                    "Permission denied|root", "device", "bind", "--direct",
                    NVME, user=NOBODY)
        place.fails("run: not an owner", PERMISSION, "user 12345 may not "
                    f"acquire {DEV}: definition 'edu'", "run", DEV, "--",
                    "true", user=12345)
    place.fails("run: no such device", NOT_FOUND, "0000:00:1d.0", "run",
                "0000:00:1d.0", "--", "true")
    # What stands for /dev/iommu here is no device.
    place.fails("run --attach: nothing is left after a failure", OTHER,
                f"{DEV} cannot be claimed|/dev/iommu", "run", "--attach", DEV,
                "--", "true")
    ok(place.json("lease", "list")["leases"] == [], "and no lease")
    ok(os.path.isdir(root), "the tree is still there")


def test_usage(place):
    for what, pattern, *args in (
            ("no command", "it needs '--' and a command", "run", DEV),
            ("empty command", "it needs '--' and a command", "run", DEV, "--"),
            ("no device", "it needs DEVICE", "run", "--", "true"),
            ("unknown placeholder", r"\{dev\} is no placeholder; there are "
             r"\{iommufd\}", "run", DEV, "--", "x", "fd={dev},a={iommufd}"),
            ("device that is not there", r"\{device1\}: there are 1 devices",
             "run", DEV, "--", "x", "{device1}"),
            ("a device twice", f"device {DEV} is there twice", "run",
             DEV.removeprefix("0000:"), DEV, "--", "x"),
            ("iommufd has no number", r"\{iommufd1\} is no placeholder",
             "run", DEV, "--", "x", "{iommufd1}"),
            ("region without name", r"\{region\} is no placeholder",
             "run", DEV, "--", "x", "{region}"),
            ("ioas without attach", r"\{ioas\} is known of devices that are "
             "attached; add --attach", "run", DEV, "--", "x", "{ioas}"),
            ("wait", "no number of seconds from 0 to 60", "run", DEV,
             "--wait", "61", "--", "x"),
            ("memlock", "--memlock 'lots' is no size", "run", DEV,
             "--memlock", "lots", "--", "x")):
        place.fails(f"run: {what}", USAGE, pattern, *args)


def test_no_daemon(root, directory):
    place = Place(root, directory + "/nobody")
    for args in (("status",), ("lease", "list"), ("policy", "list"),
                 ("ioas", "list"), ("run", DEV, "--", "true"),
                 ("device", "bind", "--daemon", DEV)):
        place.fails(f"{' '.join(args)}: no daemon", NO_MODULE,
                    "iommud does not answer at .*/nobody: No such file.*; "
                    "start it", *args)
    place.fails("unknown placeholder, before the daemon is asked", USAGE,
                "no placeholder", "run", DEV, "--", "{nothing}")
    Place(root, "/" + "x" * 200).fails(
        "socket's path too long", OTHER, "is too long", "status")


# ---- A daemon that is not one ----

class Pretender:
    """Answers every connection with the same bytes and descriptors."""

    def __init__(self, path, answer, fds=(), hold=False):
        self.answer, self.fds, self.hold = answer, fds, hold
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                conn, _ = self.sock.accept()
                with conn:
                    self.talk(conn)
        except OSError:
            pass

    def talk(self, conn):
        data = b""
        while not data.endswith(b"\0"):
            part = conn.recv(65536)
            if not part:
                return
            data += part
        answer = self.answer
        try:
            if self.fds:
                socket.send_fds(conn, [answer[:1]], self.fds)
                answer = answer[1:]
            conn.sendall(answer)
            while self.hold and conn.recv(1):
                pass
        except OSError:
            pass

    def close(self):
        self.sock.close()


def acquired(**changes):
    return json.dumps({"parameters": dict({
        "iommufd": 0, "regions": [],
        "devices": [{"device": DEV, "fd": 1, "dev_id": None, "ioas_id": None,
                     "granule": None}]}, **changes)}).encode() + b"\0"


def open_files():
    """A script's: what it inherits besides the standard ones."""
    return ["python3", "-c", "import os; print(sorted(int(f) for f in "
            "os.listdir('/proc/self/fd') if int(f) > 2 and "
            "os.path.exists('/proc/self/fd/' + f)))"]


def test_nonsense(root, directory):
    cases = (
        ("garbage", b"\xff\xfe{{{\0", "its answer is not Varlink"),
        ("no object", b"[1]\0", "its answer is not Varlink"),
        ("number of parameters", b'{"parameters": 5}\0', "is not Varlink"),
        ("half a message", b'{"parameters": {', "closed the connection"),
        ("nothing", b"", "closed the connection"),
        ("deep", b'{"parameters": ' + b"[" * 100000 + b"\0", "not Varlink"),
        ("too large", b"x" * (65 << 20), "Message too long"),
        ("unknown error", b'{"error": "a.b.Strange"}\0', "Strange"),
        ("no such method", b'{"error": "org.varlink.service.MethodNotFound", '
         b'"parameters": {"method": "a.b.GetStatus"}}\0',
         "has no method a.b.GetStatus; it is older"),
    )
    for i, (what, answer, pattern) in enumerate(cases):
        path = f"{directory}/p{i}"
        pretender = Pretender(path, answer)
        Place(root, path).fails(f"pretender: {what}",
                                NO_MODULE if "closed" in pattern else OTHER,
                                pattern, "status")
        pretender.close()


def test_descriptors(root, directory):
    """Those promised arrive, others are closed, missing ones are an error."""
    null = os.open("/dev/null", os.O_RDWR)

    def place(name, answer, count):
        path = f"{directory}/{name}"
        Pretender(path, answer, [null] * count)
        return Place(root, path)

    where = place("status", b'{"parameters": {"version": "9"}}\0', 9)
    ok(where.run("status").status == OK, "descriptors where none belong")
    where = place("two", acquired(), 2)
    done = where.run("run", "--quiet", DEV, "--", "sh", "-c",
                     "echo $IOMMU_FD $IOMMU_DEVICE_FD $IOMMU_DEVICE {iommufd} "
                     "{device} {device0} {address} ${{nothing}")
    words = done.out.split()
    ok(done.status == OK and words[0] == words[3] and
       words[1] == words[4] == words[5] and words[0] != words[1] and
       words[2] == words[6] == DEV, "run: placeholders and environment agree",
       done)
    done = where.run("run", "--quiet", DEV, "--", *open_files())
    ok(done.out.count(",") == 1, "run: it inherits these two files", done)
    done = place("five", acquired(), 5).run("run", "--quiet", DEV, "--",
                                            *open_files())
    ok(done.out.count(",") == 1, "run: and none that were not promised", done)
    done = where.run("run", DEV, "--", "sh", "-c", "exit 42")
    ok(done.status == 42 and f"{DEV}: file " in done.err,
       "run: the program's status; what it got is on stderr", done)
    done = where.run("run", "--json", DEV, "--", "sh", "-c", "echo $$")
    doc = json.loads(done.err)
    ok(doc["pid"] == int(done.out) and doc["devices"][0]["device"] == DEV,
       "run --json: the process stays the same", done)
    for want, command in ((-signal.SIGTERM, ["sh", "-c", "kill -TERM $$"]),
                          (127, ["/nonexistent"]), (126, ["/dev/null"])):
        done = where.run("run", "--quiet", DEV, "--", *command)
        ok(done.status == want, f"run: {command[0]} ends with {want}", done)
    for what, answer, count in (
            ("one is missing", acquired(), 1), ("none came", acquired(), 0),
            ("one is used twice", acquired(iommufd=1), 2),
            ("negative index", acquired(iommufd=-1), 2),
            ("no devices", acquired(devices=[]), 2),
            ("no number", acquired(iommufd="0"), 2)):
        name = what.replace(" ", "-")
        place(name, answer, count).fails(
            f"run: {what}", OTHER, "answer is not complete", "run", DEV, "--",
            "true")
    region = {"name": "ring", "fd": 1, "iova": "0x1000", "size": 4096,
              "read": True, "write": True}
    dev = {"device": DEV, "fd": 0, "dev_id": 1, "ioas_id": 7, "granule": 4096}
    where = place("pool", acquired(iommufd=None, devices=[dev],
                                   regions=[region]), 2)
    done = where.run("run", "--attach", DEV, "--", "echo", "{ioas} {id}",
                     "{region.ring}@{iova.ring}+{size.ring}")
    ok(re.match(r"7 1 \d+@0x1000\+4096\n", done.out) and
       "region ring: file" in done.err and "IOAS 7" in done.err,
       "run --attach: a named IOAS", done)
    where.fails("run --attach: no iommufd", REFUSED, "stays with the daemon",
                "run", "--quiet", "--attach", DEV, "--", "echo", "{iommufd}")
    os.close(null)


def test_closed(root, directory):
    """A device's file never takes the place of a standard one."""
    null = os.open("/dev/null", os.O_RDWR)
    path = directory + "/closed"
    Pretender(path, acquired(), [null, null])
    said = directory + "/said"
    subprocess.run(["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh", PROGRAM,
                    "run", DEV, "--", "sh", "-c",
                    "echo {iommufd} {device} >" + said],
                   env=Place(root, path).env, check=False)
    with open(said, encoding="ascii") as f:
        fds = [int(word) for word in f.read().split()]
    ok(len(fds) == 2 and min(fds) > 2,
       "run: without standard files, nothing acquired becomes one", fds)
    os.close(null)


def test_holder(root, directory):
    """A process is called what it likes to be called."""
    script = ("import sys, time; f = open(sys.argv[1]); "
              "open('/proc/self/comm', 'wb').write(b'a\\n\\x1b[\\xff)'); "
              "print('x', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", script, root + "/dev/iommu"],
                          stdout=subprocess.PIPE) as holder:
        holder.stdout.read(1)
        done = Place(root, directory + "/none").run("maps")
        holder.kill()
    ok("a??[?)" in done.out + done.err and "\x1b" not in
       done.out + done.err, "names of processes are printable", done)


def test_memlock(root, directory):
    null = os.open("/dev/null", os.O_RDWR)
    path = directory + "/memlock"
    Pretender(path, acquired(), [null, null])
    where = Place(root, path)
    limit = ["prlimit", "--memlock=65536:1048576"]
    env = where.env

    def run(*args, user=None):
        return Result(subprocess.run(
            [*limit, PROGRAM, "run", *args], env=env, user=user,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False))

    user = NOBODY if ROOT else None
    os.chmod(path, 0o777)
    done = run(DEV, "--", "sh", "-c", "ulimit -l", user=user)
    ok(done.out == "1024\n" and "locked memory up to 1M" in done.err,
       "run: the soft limit on locked memory becomes the hard one", done)
    done = run("--memlock", "1M", DEV, "--", "true", user=user)
    ok(done.status == OK, "run --memlock: enough", done)
    done = run("--memlock", "1G", DEV, "--", "echo", "ran", user=user)
    ok(done.status == REFUSED and not done.out and
       "1G of locked memory are needed and 1M allowed; raise" in done.err,
       "run --memlock: not enough, and what to do", done)
    limit = ["prlimit", "--memlock=0:0"]
    done = run("--memlock", "4K", DEV, "--", "echo", "ran", user=user)
    ok(done.status == REFUSED and not done.out and
       "4K of locked memory are needed and 0 allowed" in done.err,
       "run --memlock: none at all", done)
    done = run(DEV, "--", "true", user=user)
    ok("locked memory up to 0" in done.err, "which is not 'not limited'", done)
    limit = ["prlimit", "--memlock=65536:1048576"]
    raised = subprocess.run([*limit, "prlimit", "--memlock=2097152", "true"],
                            stderr=subprocess.DEVNULL, check=False)
    if raised.returncode:
        ok(True, "run --memlock: root raises it # SKIP not allowed here "
           "(CAP_SYS_RESOURCE)")
    else:
        done = run("--memlock", "1G", DEV, "--", "sh", "-c", "ulimit -l")
        ok(done.out == "1048576\n", "run --memlock: root raises it", done)
    os.close(null)


def test_timeouts(root, directory):
    path = directory + "/silent"
    pretender = Pretender(path, b"", hold=True)
    start = time.monotonic()
    process = subprocess.Popen(
        [PROGRAM, "status"], env=Place(root, path).env,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate()
    ok(process.returncode == -signal.SIGINT and time.monotonic() - start < 60,
       "a daemon that is silent: SIGINT ends iommuctl", process.returncode)
    pretender.close()


# ---- CDI ----

NAME = r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?"
EDITS = {"env": list, "deviceNodes": list, "mounts": list, "hooks": list}
NODE = {"path": str, "hostPath": str, "type": str, "major": int, "minor": int,
        "fileMode": int, "permissions": str, "uid": int, "gid": int}


def check_members(obj, members, required, where):
    for key, value in obj.items():
        if key not in members:
            yield f"{where}: {key} is no member"
        elif not isinstance(value, members[key]):
            yield f"{where}: {key} has the wrong type"
    for key in required:
        if key not in obj:
            yield f"{where}: {key} is missing"


def check_annotations(obj, where):
    for key, value in obj.get("annotations", {}).items():
        if not re.fullmatch(rf"([a-z0-9.-]+/)?{NAME}", key) or \
           not isinstance(value, str):
            yield f"{where}: annotation {key}: {value}"


def check_edits(edits, where):
    yield from check_members(edits, EDITS, (), where)
    if not any(edits.values()):
        yield f"{where}: no edits"
    for entry in edits.get("env", []):
        if not re.fullmatch(r"[A-Za-z_]\w*=.*", entry):
            yield f"{where}: env {entry}"
    for node in edits.get("deviceNodes", []):
        yield from check_members(node, NODE, ("path",), where + " node")
        if not node["path"].startswith("/"):
            yield f"{where}: path {node['path']}"
        if node.get("type", "c") not in ("b", "c", "u", "p", ""):
            yield f"{where}: type {node['type']}"
        if not re.fullmatch("[rwm]+", node.get("permissions", "rwm")):
            yield f"{where}: permissions {node['permissions']}"


def check_spec(spec):
    """What is wrong with a spec, by the rules of CDI 0.6.0."""
    yield from check_members(
        spec, {"cdiVersion": str, "kind": str, "annotations": dict,
               "devices": list, "containerEdits": dict},
        ("cdiVersion", "kind", "devices"), "spec")
    if spec["cdiVersion"] != "0.6.0":
        yield "version " + spec["cdiVersion"]
    vendor, _, kind = spec["kind"].partition("/")
    if not re.fullmatch(NAME, vendor) or ":" in vendor or \
       not re.fullmatch(NAME, kind) or ":" in kind:
        yield "kind " + spec["kind"]
    if not spec["devices"]:
        yield "no devices"
    names = [d["name"] for d in spec["devices"]]
    if len(set(names)) != len(names):
        yield f"names are not unique: {names}"
    yield from check_annotations(spec, "spec")
    yield from check_edits(spec.get("containerEdits", {"env": ["A=b"]}),
                           "spec")
    for dev in spec["devices"]:
        yield from check_members(
            dev, {"name": str, "annotations": dict, "containerEdits": dict},
            ("name", "containerEdits"), "device")
        if not re.fullmatch(NAME, dev["name"]):
            yield "name " + dev["name"]
        yield from check_annotations(dev, dev["name"])
        yield from check_edits(dev["containerEdits"], dev["name"])


def test_cdi(root, directory):
    place = Place(root, directory + "/nobody")
    done = place.run("cdi", DEV)
    spec = json.loads(done.out)
    ok(done.status == OK and not list(check_spec(spec)),
       "cdi: a spec by the rules of CDI 0.6.0", list(check_spec(spec)))
    nodes = [n["path"] for e in (spec, spec["devices"][0])
             for n in e["containerEdits"]["deviceNodes"]]
    ok(nodes == ["/dev/iommu", "/dev/vfio/devices/vfio0"] and
       spec["devices"][0]["name"] == DEV, "cdi: /dev/iommu and the node",
       nodes)
    ok(spec["devices"][0]["containerEdits"]["env"] ==
       ["IOMMU_NODE_0000_00_03_0=/dev/vfio/devices/vfio0"],
       "cdi: the node's name in the environment")
    ok(place.json("cdi", DEV)["spec"] == spec, "cdi --json: the same spec")
    ok(json.loads(place.run("cdi", "--all").out)["devices"][0]["name"] == DEV,
       "cdi --all")
    ok(len(json.loads(place.run("cdi", DEV, "00:03.0").out)["devices"]) == 1,
       "cdi: a device named twice is there once")
    out = directory + "/cdi"
    place.fails("cdi --output: no such directory", NOT_FOUND, "No such file",
                "cdi", "--all", "--output", out)
    os.mkdir(out)
    done = place.run("cdi", "--all", "--output", out)
    path = out + "/granule.org-vfio.json"
    with open(path, encoding="utf-8") as f:
        ok(done.out == path + "\n" and json.load(f) == spec and
           os.listdir(out) == ["granule.org-vfio.json"] and
           os.stat(path).st_mode & 0o777 == 0o644, "cdi --output", done)
    ok(place.run("cdi", "--all", "--output", out).status == OK and
       len(os.listdir(out)) == 1, "cdi --output: again, in its place")
    place.fails("cdi: not bound", REFUSED, "not bound to a VFIO driver; "
                f"'iommuctl device bind {NVME}'", "cdi", NVME)
    place.fails("cdi: nothing", USAGE, "or --all", "cdi")
    place.fails("cdi: both", USAGE, "exclude each other", "cdi", "--all", DEV)
    place.fails("cdi: no such device", NOT_FOUND, "no such device", "cdi",
                "0000:00:1d.0")
    # The checker is no good if it takes everything.
    for change in ({"kind": "vfio"}, {"devices": []}, {"cdiVersion": "1"},
                   {"colour": "red"}, {"annotations": {"a b": "c"}},
                   {"containerEdits": {"deviceNodes": [{"type": "c"}]}}):
        try:
            wrong = list(check_spec(dict(spec, **change)))
        except KeyError as error:
            wrong = [error]
        ok(wrong, f"the checker sees {change}")


def main():
    global PROGRAM
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        # Where others may run it: the checkout may be root's alone.
        PROGRAM = shutil.copy(PROGRAM, directory + "/iommuctl")
        root = directory + "/root"
        fixture.build(SOURCE + "/tests/cli/fixtures/host.txt", root)
        daemon = Daemon(IOMMUD, directory, root, POLICY).start()
        try:
            place = Place(root, daemon.socket)
            test_status(place)
            test_policy(place, daemon)
            test_ioas(place)
            test_devices(place, root)
            test_usage(place)
            ok(daemon.stop() == 0, "the daemon ends")
        finally:
            if daemon.process.poll() is None:
                daemon.process.kill()
        test_no_daemon(root, directory)
        test_nonsense(root, directory)
        test_descriptors(root, directory)
        test_closed(root, directory)
        test_holder(root, directory)
        test_memlock(root, directory)
        test_timeouts(root, directory)
        test_cdi(root, directory)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
