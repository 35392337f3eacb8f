#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A real iommud on a made-up /sys: its interface, its rules, its restarts.

usage: test_daemon.py IOMMUD SOURCE_DIR CACHE
"""

import errno
import grp
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM, SOURCE, CACHE = (os.path.abspath(a) for a in sys.argv[1:4])
sys.path[:0] = [SOURCE + "/tests/daemon", SOURCE + "/tests",
                SOURCE + "/tests/cli", CACHE + "/varlink/python"]
import fixture  # noqa: E402
import varlink  # noqa: E402
from harness import (  # noqa: E402
    IOAS_IOVA_RANGES, IOAS_MAP, IOAS_UNMAP, PATIENCE, Client, Daemon, Error,
    Kernel, die_with_us, wait_until)
from tap import Tap  # noqa: E402

INTERFACE = "org.granule.iommud"
VARLINK_FILE = SOURCE + "/daemon/%s.varlink"
DEV, NVME, BUSY = "0000:00:03.0", "0000:02:00.0", "0000:00:1f.0"
ROOT = os.geteuid() == 0
NOBODY = 65534

POLICY = """{
  "version": 1,
  "devices": {
    "edu": { "match": { "vendor": "0x1234", "device": "0x11e8" },
             "users": ["65534"], "groups": ["4242"] },
    "disk": { "match": { "class": "0x010802" }, "driver": "vfio-pci" },
    "none": { "match": { "vendor": "0x9999" } }
  },
  "ioases": {
    "pool": { "regions": { "ring": { "size": "64K", "iova": "0x100000" },
                           "data": { "size": "1M", "iova": "0x200000",
                                     "access": "read" } } }
  }
}
"""

tap = Tap()
ok = tap.ok


class Place:
    """A directory with a tree of fixture.py, and a daemon in it."""

    def __init__(self, policy=POLICY, description="host.txt", **options):
        self.temporary = tempfile.TemporaryDirectory()
        self.directory = self.temporary.name
        os.chmod(self.directory, 0o755)
        self.root = self.directory + "/root"
        if "\n" in description:
            with open(self.directory + "/tree", "w", encoding="ascii") as f:
                f.write(description)
            description = self.directory + "/tree"
        else:
            description = SOURCE + "/tests/cli/fixtures/" + description
        fixture.build(description, self.root)
        self.daemon = Daemon(PROGRAM, self.directory, self.root, policy,
                             **options)

    def lease(self, device, ioas=None):
        """A record of one that an earlier daemon gave to this process."""
        os.makedirs(self.daemon.state + "/leases", exist_ok=True)
        with open("/proc/self/stat", encoding="ascii") as f:
            started = int(f.read().rsplit(")", 1)[1].split()[19])
        with open(self.daemon.state + "/leases/lease.json", "w",
                  encoding="ascii") as f:
            json.dump({"device": device, "node": "/dev/vfio/devices/vfio0",
                       "command": "test", "user": 0, "process": os.getpid(),
                       "started": started, "attached": False, "ioas": ioas},
                      f)

    def undo(self, device, name=None, **record):
        """An undo record; its file."""
        path = "%s/undo/%s.json" % (self.daemon.state, name or device)
        os.makedirs(self.daemon.state + "/undo", exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            json.dump(dict({"device": device, "driver": "nvme", "from": None,
                            "driver_override": None, "to": "vfio-pci",
                            "bound": False}, **record), f)
        return path

    def __enter__(self):
        return self.daemon.start()

    def __exit__(self, *_):
        if self.daemon.process.poll() is None:
            self.daemon.process.kill()
            self.daemon.process.wait()
        self.temporary.cleanup()


def as_user(uid, groups, function):
    """What function() returns in a process of another user; JSON."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setgroups(groups)
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            result = function()
        except BaseException as error:  # pylint: disable=broad-except
            result = repr(error)
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as f:
        text = f.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def outcome(daemon, method, **parameters):
    try:
        daemon.call(method, **parameters)
    except Error as error:
        return error.short
    return "ok"


# ---- The stock client ----

CALLS = {
    "GetStatus": ({}, None),
    "ListDevices": ({}, None),
    "ListLeases": ({}, None),
    "Preflight": ({"devices": [DEV]}, None),
    "Bind": ({"devices": [BUSY]}, "Busy"),
    "Unbind": ({"devices": [NVME]}, "Refused"),
    # What stands for /dev/iommu here is no device.
    "Acquire": ({"devices": [DEV]}, "Failed"),
    "Release": ({"devices": [DEV]}, "NotFound"),
    "ListIoases": ({}, None),
    "OpenIoas": ({"name": "pool"}, None),
    "ListDefinitions": ({}, None),
    # Its definition is in a file that people write.
    "Map": ({"ioas": "pool", "regions": {}}, "Refused"),
    "Unmap": ({"ioas": "pool", "regions": ["ring"]}, "Refused"),
    "Define": ({"kind": "limit", "name": "*", "definition": {"devices": 5}},
               None),
    "Undefine": ({"kind": "limit", "name": "*"}, None),
    "Start": ({"name": "none"}, "NotFound"),
    "Stop": ({"name": "other"}, "NotFound"),
    "CheckPolicy": ({}, None),
    "Reload": ({}, None),
    "Monitor": ({}, "ExpectedMore"),
}


def test_stock_client(daemon):
    client = varlink.Client("unix:" + daemon.socket)
    ok(client.get_interfaces() == ["org.varlink.service", INTERFACE],
       "python3-varlink: GetInfo lists the interfaces")
    for name in ("org.varlink.service", INTERFACE):
        text = client.get_interface(name).get_description()
        with open(VARLINK_FILE % name, encoding="ascii") as f:
            ok(text == f.read(), name + ": the description is the file's text")
    interface = client.get_interface(INTERFACE)
    methods = [n for n, m in interface.members.items()
               if type(m).__name__ == "_Method"]
    ok(sorted(methods) == sorted(CALLS), "a call of every method is below",
       set(methods) ^ set(CALLS))
    connection = client.open(INTERFACE)
    for name, (parameters, error) in CALLS.items():
        try:
            reply = getattr(connection, name)(**parameters)
            got = None
        except varlink.VarlinkError as e:
            reply = e.as_dict()
            got = reply["error"].rsplit(".", 1)[1]
        ok(got == error, "python3-varlink: %s: %s" % (name, error or "reply"),
           reply)
    for name, text in (("no.such.interface", "InterfaceNotFound"),
                       ("nodots", "InterfaceNotFound")):
        error = daemon.error("org.varlink.service.GetInterfaceDescription",
                             interface=name)
        ok(error.short == text and error.parameters == {"interface": name},
           "GetInterfaceDescription(%s): %s" % (name, text), error)


# ---- Calls that are not right ----

def test_calls(daemon):
    for parameters, at in (
            ({}, "devices"),
            ({"devices": DEV}, "devices"),
            ({"devices": [DEV, 7]}, "devices[1]"),
            ({"devices": [None]}, "devices[0]"),
            ({"devices": [DEV], "wait": "1"}, "wait"),
            ({"devices": [DEV], "wait": 1.5}, "wait"),
            ({"devices": [DEV], "attach": 1}, "attach"),
            ({"devices": [DEV], "other": 1}, "other"),
            ({"devices": [DEV + "\0"]}, "devices[0]")):
        error = daemon.error("Acquire", **parameters)
        ok(error.short == "InvalidParameter" and
           error.parameters == {"parameter": at},
           "Acquire(%s): %s" % (parameters, at), error)
    error = daemon.error("Define", kind="other", name="x", definition={})
    ok(error.parameters == {"parameter": "kind"}, "an enum is checked", error)
    for method, name in (("NoMethod", "MethodNotFound"),
                         ("getStatus", "MethodNotFound"),
                         ("org.other.X", "InterfaceNotFound"),
                         (".", "InterfaceNotFound"),
                         ("a" * 5000 + ".B", "InterfaceNotFound"),
                         (INTERFACE + ".", "MethodNotFound")):
        error = daemon.error(method)
        ok(error.short == name, "%s: %s" % (method[:30], name), error)
    client = daemon.client()
    client.send("GetStatus", {}, upgrade=True)
    reply = client.receive()
    ok(reply["error"] == "org.varlink.service.InvalidParameter" and
       reply["parameters"] == {"parameter": "upgrade"},
       "an upgrade is refused", reply)
    client.send("GetStatus", {}, oneway=True)
    client.send("NoMethod", {}, oneway=True)
    client.send("ListLeases")
    reply = client.receive()
    ok("leases" in reply.get("parameters", {}), "oneway: no reply, nor error",
       reply)
    client.send("GetStatus", None, more=True)
    reply = client.receive()
    ok("continues" not in reply, "more: a method of one reply gives one")
    for name in ("GetStatus", "ListLeases", "ListIoases", "ListDefinitions"):
        client.send(name)
    got = [sorted(client.reply()) for _ in range(4)]
    ok([g[0] for g in got] == ["connections", "leases", "ioases",
                               "definitions"],
       "calls that do not wait for replies are answered in order", got)
    client.close()


def test_edit(daemon):
    """Map and Unmap of an IOAS that no device has."""
    def names():
        return [[r["name"] for r in i["regions"]] for i in
                daemon.call("ListIoases")["ioases"] if i["name"] == "own"]

    ring = {"size": "64K", "iova": "0x0"}
    daemon.call("Define", kind="ioas", name="own",
                definition={"regions": {"ring": ring}})
    for regions, short in (
            ({"a": 5}, "InvalidPolicy"), ({"../a": ring}, "InvalidPolicy"),
            ({"a": {}}, "InvalidPolicy"), ({"a": ring}, "InvalidPolicy"),
            ({"": {"size": "4K", "iova": "0x100000"}}, "InvalidPolicy"),
            ({"ring": ring}, "Refused"), ({"a": None}, "InvalidPolicy"),
            ({"n%d" % i: {"size": 4096, "iova": hex(0x100000 + (i << 12))}
              for i in range(32)}, "InvalidPolicy"),
            # No machine has as many huge pages.
            ({"a": {"size": "64T", "iova": "0x40000000",
                    "huge_pages": "1G"}}, "Failed")):
        got = outcome(daemon, "Map", ioas="own", regions=regions)
        ok(got == short and names() == [["ring"]], "Map(%s): %s, and nothing "
           "has changed" % (str(regions)[:50], short), (got, names()))
    for regions, short in ((["ring", "none"], "NotFound"),
                           (["ring", "ring"], "NotFound"),
                           ([""], "NotFound"), ([1], "InvalidParameter")):
        got = outcome(daemon, "Unmap", ioas="own", regions=regions)
        ok(got == short and names() == [["ring"]], "Unmap(%s): %s, and "
           "nothing has changed" % (regions, short), (got, names()))
    def in_file():
        with open(daemon.config + "/iommud.d/ioas-own.json",
                  encoding="utf-8") as f:
            return json.load(f)["ioases"]["own"]["regions"]

    daemon.call("Map", ioas="own", regions={
        "late": {"size": 4096, "iova": "0x100000", "access": "read"}})
    ok(sorted(names()[0]) == sorted(in_file()) == ["late", "ring"],
       "Map: it is there, and in the file", names())
    daemon.call("Unmap", ioas="own", regions=["ring", "late"])
    ok(names() == [[]] and in_file() == {}, "Unmap: all of them", names())
    broken = daemon.config + "/iommud.d/zz.json"
    daemon.call("Map", ioas="own", regions={"ring": ring})
    with open(broken, "w", encoding="ascii") as f:
        f.write("{")
    ok(outcome(daemon, "Map", ioas="own", regions={"b": dict(
        ring, iova="0x100000")}) == "InvalidPolicy" and names() == [["ring"]],
       "with an error in another file nothing is changed", names())
    os.unlink(broken)
    daemon.call("Undefine", kind="ioas", name="own")
    ok(names() == [], "Undefine", names())


class Used:
    """A daemon with the IOAS "own", which a device uses."""

    def __init__(self):
        self.place = Place(policy={})
        self.daemon = self.place.daemon
        self.file = self.daemon.config + "/iommud.d/ioas-own.json"
        with open(self.file, "w", encoding="ascii") as f:
            json.dump({"version": 1, "ioases": {"own": {"regions": {
                "ring": {"size": 4096, "iova": "0x0"}}}}}, f)
        self.place.lease(DEV, "own")
        self.passed = {"iommufd.own.1": os.open("/dev/null", os.O_RDWR)}
        self.store("ring")
        self.kernel = self.client = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.__exit__()
        if self.kernel:
            self.kernel.close()
        for fd in self.passed.values():
            os.close(fd)

    def store(self, region):
        fd = os.memfd_create(region)
        os.ftruncate(fd, 4096)
        self.passed["region.own." + region] = fd

    def start(self, *ioctls):
        if self.kernel:
            self.kernel.close()
        self.kernel = Kernel(*ioctls)
        self.daemon.start(preexec=self.kernel.install, passed=self.passed)

    def begin(self, method, regions):
        """Which ioctl the kernel has got, and from whom."""
        if method == "Map":
            regions = {n: {"size": 4096, "iova": hex(iova)}
                       for n, iova in regions.items()}
        self.client = self.daemon.client(timeout=PATIENCE)
        self.client.send(method, {"ioas": "own", "regions": regions})
        return self.kernel.wait()

    def end(self):
        try:
            self.client.reply()
        except Error as error:
            return error.short
        return "ok"

    def edit(self, method, regions):
        """One that has to end without the kernel."""
        self.client = self.daemon.client(timeout=PATIENCE)
        self.client.send(method, {"ioas": "own", "regions": regions})
        return self.end()

    def regions(self):
        """Those that the daemon has, and those of the file."""
        with open(self.file, encoding="ascii") as f:
            defined = json.load(f)["ioases"]["own"]["regions"]
        return ([sorted(r["name"] for r in i["regions"]) for i in
                 self.daemon.call("ListIoases")["ioases"]][0],
                sorted(defined))


def test_busy_kernel():
    """The kernel makes who asks for ranges wait while much is unpinned."""
    with Used() as used:
        used.start(IOAS_IOVA_RANGES, IOAS_IOVA_RANGES)
        _, pid = used.kernel.wait()
        got = used.daemon.call("ListIoases")["ioases"][0]
        ok(pid != used.daemon.process.pid and got["iova_ranges"] is None,
           "the daemon serves on while the kernel is asked for IOVA ranges",
           (pid, got))
        used.kernel.answer(errno.ENOTTY)
        ok(wait_until(lambda: not used.daemon.call("GetStatus")["jobs"])
           is not None, "and who has asked ends")


def test_edit_in_use():
    """Map and Unmap, where the kernel has to follow: it, the file and the
    daemon say the same whatever fails or dies."""
    ring, both = ["ring"], ["extra", "ring"]
    with Used() as used:
        used.start()
        number, _ = used.begin("Map", {"extra": 0x10000})
        before = used.regions()
        used.kernel.answer()
        ok((number, used.end(), before, used.regions()) ==
           (IOAS_MAP, "ok", (ring, ring), (both, both)),
           "Map of an IOAS in use: first the kernel, then the file", before)
        number, _ = used.begin("Unmap", ["extra"])
        before = used.regions()
        used.kernel.answer(errno.EBUSY)
        ok((number, used.end(), before, used.regions()) ==
           (IOAS_UNMAP, "Busy", (both, ring), (both, both)),
           "Unmap: first the file, which has it again when the kernel does "
           "not let it go", (before, used.regions()))
        broken = used.daemon.config + "/iommud.d/zz.json"
        used.begin("Map", {"late": 0x20000})
        with open(broken, "w", encoding="ascii") as f:
            f.write("{")
        used.kernel.answer()
        got = used.end()
        defined = used.daemon.call("ListDefinitions")["definitions"][0]
        errors = used.daemon.call("GetStatus")["policy_errors"]
        ok(got == "ok" and "late" in defined["definition"]["regions"] and
           errors, "a policy that became wrong meanwhile takes nothing back",
           (got, defined, errors))
        os.unlink(broken)
        used.begin("Unmap", ["late"])
        used.kernel.answer()
        got = used.end()
        ok((got, used.regions()) == ("ok", (both, both)), "and Unmap knows it",
           (got, used.regions()))
        used.begin("Unmap", ["extra"])
        used.daemon.stop(signal.SIGKILL)
        used.store("extra")
        used.start()
        ok(used.regions() == (both, ring) and
           used.edit("Unmap", ["ring"]) == "Busy", "a daemon killed at Unmap: "
           "no definition says more than devices can reach", used.regions())
    with Used() as used:
        used.start()
        _, child = used.begin("Map", {"extra": 0x10000, "more": 0x20000})
        used.kernel.answer()
        used.kernel.wait()
        os.kill(child, signal.SIGKILL)
        got = used.end()
        ok((got, used.regions()) == ("Failed", (["extra", "more", "ring"],
                                                ring)) and
           used.edit("Unmap", ["ring"]) == "Busy", "who did the work was "
           "killed: memory that may be mapped stays until the devices have "
           "gone", (got, used.regions()))
    with Used() as used:
        os.close(used.passed.pop("iommufd.own.1"))
        used.start()
        got = used.edit("Unmap", ["ring"])
        ok((got, used.regions()) == ("Busy", (ring, ring)), "without the file "
           "of what devices reach, that is not said to change", got)


def test_monitor(daemon):
    # With the one that asks; those of python3-varlink end when Python likes.
    before = daemon.call("GetStatus")["connections"]
    watcher = daemon.client()
    watcher.send("Monitor", {}, more=True)
    first = watcher.receive()
    ok(first.get("continues") and first["parameters"]["event"] is None,
       "Monitor: the first reply says that it has begun", first)
    daemon.call("Define", kind="limit", name="*", definition={})
    event = watcher.receive()["parameters"]["event"]
    ok(event["kind"] == "policy" and event["device"] is None,
       "Monitor: an event follows", event)
    daemon.call("Undefine", kind="limit", name="*")
    watcher.close()
    ok(wait_until(lambda: daemon.call("GetStatus")["connections"] <= before)
       is not None, "a watcher may just go")


# ---- Who may what ----

def test_permissions(daemon):
    admins = ("Bind", "Unbind", "Start", "Stop", "Define", "Undefine",
              "CheckPolicy", "Reload", "Map", "Unmap")
    results = as_user(1234, [], lambda: {
        m: outcome(daemon, m, **CALLS[m][0]) for m in CALLS})
    for method in CALLS:
        want = ("PermissionDenied" if method in admins or
                method in ("Acquire", "OpenIoas") else
                CALLS[method][1] or "ok")
        ok(results[method] == want, "a stranger: %s: %s" % (method, want),
           results[method])
    ok(as_user(NOBODY, [], lambda: outcome(daemon, "Acquire", devices=[DEV]))
       == "Failed", "an owner by user may acquire")
    ok(as_user(1234, [4242], lambda: outcome(
        daemon, "Acquire", devices=[DEV])) == "Failed",
       "an owner by group may acquire")
    said = as_user(NOBODY, [], lambda: daemon.error(
        "Acquire", devices=[NVME]).message)
    ok(said.startswith("user 65534 may not acquire %s: definition 'disk' (%s"
                       % (NVME, daemon.config)), "but not another device",
       said)
    said = as_user(NOBODY, [], lambda: daemon.error(
        "Acquire", devices=[DEV, BUSY]).message)
    ok("no definition" in said, "nor one that no definition is for", said)
    ok(as_user(NOBODY, [], lambda: outcome(daemon, "Reload")) ==
       "PermissionDenied", "an owner changes nothing")


def test_group():
    if not ROOT:
        tap.skip("members of the group", "not root")
        return
    group = grp.getgrgid(1).gr_name
    with Place(group=group) as daemon:
        ok(as_user(1234, [1], lambda: outcome(daemon, "Reload")) == "ok",
           "a member of the group of --group may change things")
        ok(as_user(1234, [2], lambda: outcome(daemon, "Reload")) ==
           "PermissionDenied", "of another group: not")


# ---- Policy at run time ----

def test_policy(daemon):
    error = daemon.error("Define", kind="device", name="x",
                         definition={"match": {}})
    ok(error.short == "InvalidPolicy" and
       error.parameters["errors"][0]["key"] == "devices.x.match" and
       error.parameters["errors"][0]["line"] == 5,
       "Define: what is wrong is named with line and key", error)
    ok(not os.listdir(daemon.config + "/iommud.d"), "and nothing is written")
    for name in ("../x", "", "a b", "*"):
        error = daemon.error("Define", kind="device", name=name,
                             definition={"match": {"vendor": "0x1"}})
        ok(error.parameters == {"parameter": "name"},
           "Define: name %r is refused" % name, error)
    daemon.call("Define", kind="device", name="new",
                definition={"match": {"address": DEV}, "users": ["0"]})
    ok([f for f in os.listdir(daemon.config + "/iommud.d")] ==
       ["device-new.json"], "Define writes a file")
    devices = daemon.call("ListDevices", device="00:03.0")["devices"]
    ok(len(devices) == 1 and devices[0]["definition"] == "new",
       "a definition with an address goes before one with IDs", devices)
    error = daemon.error("Undefine", kind="device", name="edu")
    ok(error.short == "Refused" and "test.json:4" in error.message,
       "Undefine: not what people wrote", error)
    daemon.call("Undefine", kind="device", name="new")
    ok(not os.listdir(daemon.config + "/iommud.d"), "Undefine removes it")
    error = daemon.error("Undefine", kind="device", name="new")
    ok(error.short == "NotFound", "Undefine: once", error)

    daemon.write_policy("{", "zz.json")
    error = daemon.error("Reload")
    ok(error.short == "InvalidPolicy" and
       error.parameters["errors"][0]["file"] == daemon.config + "/zz.json",
       "Reload: a broken file is named", error)
    status = daemon.call("GetStatus")
    ok(status["definitions"] == 4 and len(status["policy_errors"]) == 1,
       "and the old policy stays, with the error in the status", status)
    os.unlink(daemon.config + "/zz.json")
    daemon.call("Reload")
    ok(not daemon.call("GetStatus")["policy_errors"],
       "Reload: and no more with the next good one")
    daemon.write_policy("{", "zz.json")
    daemon.reload()
    ok(wait_until(lambda: daemon.call("GetStatus")["policy_errors"]),
       "SIGHUP: the errors are in the status")
    os.unlink(daemon.config + "/zz.json")
    daemon.reload()
    ok(wait_until(lambda: not daemon.call("GetStatus")["policy_errors"]),
       "SIGHUP: and gone with the next good one")


def test_broken_start():
    with Place(policy='{"version": 1, "devices": 7}') as daemon:
        status = daemon.call("GetStatus")
        ok(status["definitions"] == 0 and len(status["policy_errors"]) == 1,
           "a broken policy at start: none is in force", status)
        ok("test.json:1: devices: has to be an object" in daemon.read_log(),
           "and it is logged", daemon.read_log())


# ---- Binding ----

def read_raw(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def read(path):
    return read_raw(path).strip()


def test_bind(daemon):
    pci = daemon.root + "/sys/bus/pci"
    error = daemon.error("Bind", devices=[NVME])
    ok(error.short == "Failed" and "did not take" in error.message,
       "Bind: a driver that does not take it", error)
    # In a plain file the newline that clears it overwrites the first letter.
    ok(read_raw(pci + "/devices/%s/driver_override" % NVME)[0] == "\n" and
       not os.listdir(daemon.state + "/undo"),
       "everything is undone, and no record stays")
    error = daemon.error("Bind", devices=[BUSY])
    ok(error.short == "Busy" and "0000:00:1f.2" in error.message and
       "ahci" in error.message, "Bind: not a viable group", error)
    error = daemon.error("Bind", devices=[NVME], driver="no-such")
    ok(error.short == "NotFound", "Bind: no such driver", error)
    error = daemon.error("Bind", devices=[])
    ok(error.short == "Refused", "Bind: no devices", error)
    error = daemon.error("Bind", devices=["x"])
    ok(error.short == "Refused" and "'x' is no device" in error.message,
       "Bind: no device name", error)
    error = daemon.error("Bind", devices=["0000:00:00.1"])
    ok(error.short == "NotFound", "Bind: no such device", error)
    reply = daemon.call("Bind", devices=[DEV])
    ok(reply["warnings"] == [], "Bind: what has the driver stays", reply)
    reply = daemon.call("Preflight", devices=[BUSY])
    bad = sorted(c["name"] for c in reply["checks"] if not c["good"])
    ok(not reply["good"] and bad == ["group", "reset"],
       "Preflight names what is in the way", reply)


def test_interrupted():
    place = Place()
    undo = place.daemon.state + "/undo"
    os.makedirs(undo)
    with open("%s/%s.json" % (undo, NVME), "w", encoding="ascii") as f:
        json.dump({"device": NVME, "driver": "nvme", "driver_override": None,
                   "to": "vfio-pci", "bound": False}, f)
    with open(undo + "/x.json", "w", encoding="ascii") as f:
        f.write("garbage")
    device = place.root + "/sys/bus/pci/devices/" + NVME
    os.unlink(device + "/driver")
    with open(device + "/driver_override", "w", encoding="ascii") as f:
        f.write("vfio-pci")
    with place as daemon:
        wait_until(lambda: not daemon.call("GetStatus")["jobs"])
        ok(read_raw(device + "/driver_override")[0] == "\n" and
           read(place.root + "/sys/bus/pci/drivers/nvme/bind") == NVME and
           not os.listdir(undo),
           "a binding that was interrupted is undone by the next daemon",
           daemon.read_log())


# ---- Life of the daemon ----

class Notify:
    """A $NOTIFY_SOCKET: messages, and the descriptors that come with them."""

    def __init__(self, directory):
        self.path = directory + "/notify"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(PATIENCE)

    def receive(self):
        text, fds, _, _ = socket.recv_fds(self.sock, 4096, 8)
        return text.decode(), fds

    def until(self, what):
        """Everything up to a message that has @what in it."""
        seen = []
        while True:
            seen.append(self.receive())
            if what in seen[-1][0]:
                return seen


def test_systemd():
    """Sockets, memory and messages as systemd would pass them."""
    place = Place()
    notify = Notify(place.directory)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place.directory + "/activation")
    listener.listen(100)
    os.set_inheritable(listener.fileno(), True)
    passed = {"iommud.socket": listener.fileno()}
    # A call that was made before the daemon was there.
    early = Client(place.directory + "/activation")
    early.send("GetStatus")
    place.daemon.socket = place.directory + "/activation"

    def start():
        names = list(passed)

        def preexec():
            die_with_us()
            copies = [os.dup(passed[n]) for n in names]
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate(copies)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)

        # $LISTEN_PID has to be the daemon's own: a shell knows it.
        command = ["sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\"", PROGRAM,
                   "--config", place.daemon.config, "--state",
                   place.daemon.state, "--root", place.root]
        with open(place.daemon.log, "ab") as log:
            place.daemon.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                close_fds=False, preexec_fn=preexec,
                env=dict(os.environ, NOTIFY_SOCKET=notify.path,
                         LISTEN_FDS=str(len(names)),
                         LISTEN_FDNAMES=":".join(names)))
        return notify.until("READY=1")

    try:
        seen = start()
        ok("parameters" in early.receive(), "a call from before the start is "
           "answered: the socket is systemd's")
        ok(not os.path.exists(place.directory + "/sock"),
           "and no other one is made")
        stored = {}
        for text, fds in seen:
            if "FDSTORE=1" in text:
                stored[re.search("FDNAME=(.*)", text)[1]] = fds[0]
        ok(sorted(stored) == ["region.pool.data", "region.pool.ring"],
           "the memory of named IOASes goes to the store", seen)
        ok(any("STATUS=" in text for text, _ in seen), "STATUS is told", seen)
        daemon = place.daemon
        daemon.reload()
        texts = [text for text, _ in notify.until("READY=1")]
        ok("RELOADING=1" in texts[0] and "MONOTONIC_USEC=" in texts[0],
           "SIGHUP: RELOADING, then READY", texts)
        client = daemon.client()
        client.call("OpenIoas", name="pool")
        fds = client.take_fds()
        for i, fd in enumerate(fds):
            os.pwrite(fd, b"kept %d" % i, 0)
        try:
            os.ftruncate(fds[0], 0)
            ok(False, "memory of a region cannot be cut short")
        except PermissionError:
            ok(True, "memory of a region cannot be cut short")
        daemon.stop(signal.SIGKILL)
        passed.update(stored)
        seen = start()
        ok(not any("FDSTORE=1" in text for text, _ in seen),
           "after kill -9 the memory comes from the store", seen)
        client = daemon.client()
        client.call("OpenIoas", name="pool")
        ok([os.pread(fd, 6, 0) for fd in client.take_fds()] ==
           [b"kept %d" % i for i in range(len(fds))],
           "and has kept its bytes")
        daemon.stop()
        notify.until("STOPPING=1")
        daemon.write_policy("{")
        texts = [text for text, _ in start()]
        daemon.write_policy(POLICY)
        daemon.reload()
        texts += [text for text, _ in notify.until("READY=1")]
        client = daemon.client()
        client.call("OpenIoas", name="pool")
        ok([os.pread(fd, 6, 0) for fd in client.take_fds()] ==
           [b"kept %d" % i for i in range(len(fds))] and
           not any("FDSTORE" in text for text in texts),
           "a start with a broken policy gives up no memory", texts)
        daemon.stop()
        notify.until("STOPPING=1")
        place.lease(DEV, "pool")
        daemon.write_policy(POLICY.replace("0x100000", "0x800000")
                            .replace('"access": "read"', '"access": "write"'))

        def regions():
            """Where each is, and what a device may do there."""
            return {r["name"]: (r["iova"], r["read"], r["write"])
                    for r in daemon.call("ListIoases")["ioases"][0]["regions"]}

        start()
        got = regions()
        ok(got == {"ring": ("0x100000", True, True),
                   "data": ("0x200000", True, False)},
           "memory in use stays where it was mapped over a restart, whatever "
           "the policy says by then", got)
        daemon.stop()
        notify.until("STOPPING=1")
        os.unlink(daemon.state + "/leases/lease.json")
        start()
        got = regions()
        ok(got == {"ring": ("0x800000", True, True),
                   "data": ("0x200000", False, True)} and
           sorted(os.listdir(daemon.state + "/regions")) ==
           ["pool.data.json", "pool.ring.json"],
           "and goes where the policy says when nobody uses it", got)
        daemon.process.send_signal(signal.SIGTERM)
        texts = [text for text, _ in notify.until("STOPPING=1")]
        ok(daemon.process.wait(PATIENCE) == 0,
           "SIGTERM: STOPPING, and the end", texts)
    finally:
        place.__exit__()


def test_socket():
    with Place() as daemon:
        second = subprocess.run(
            [PROGRAM, "--socket", daemon.socket, "--config", daemon.config,
             "--state", daemon.state], capture_output=True, text=True,
            check=False, timeout=PATIENCE)
        ok(second.returncode == 1 and "Address already in use" in
           second.stderr, "a second daemon does not take the socket", second)
        ok(daemon.call("GetStatus")["version"], "and the first one goes on")
        daemon.stop(signal.SIGKILL)
        daemon.start()
        ok(daemon.call("GetStatus")["version"],
           "a socket that is left of a killed one is replaced")
        ok(os.stat(daemon.socket).st_mode & 0o777 == 0o666,
           "everybody may connect")
    for args, status in ((["--no-such"], 2), (["x"], 2), (["--help"], 0),
                         (["--version"], 0), (["--interface"], 0)):
        done = subprocess.run([PROGRAM, *args], capture_output=True,
                              check=False, timeout=PATIENCE)
        ok(done.returncode == status, "iommud %s: status %d"
           % (args[0], status), done)


def test_udev():
    policy = {"devices": {
        "a": {"match": {"class": "0x010802"}, "start": "boot"},
        "b": {"match": {"vendor": "0x1234"}}}}
    place = Place(policy=policy)
    for device, want in ((NVME, "IOMMUD_DRIVER=vfio-pci\n"), (DEV, ""),
                         (BUSY, ""), ("nonsense", "")):
        done = subprocess.run(
            [PROGRAM, "--config", place.daemon.config, "--root", place.root,
             "--udev", device], capture_output=True, text=True, check=False,
            timeout=PATIENCE)
        ok((done.returncode, done.stdout) == (0, want),
           "--udev %s: %r" % (device, want), done)
    place.temporary.cleanup()


def test_early():
    """What has no driver is kept from one; names need not be known yet."""
    free = "10000:e1:00.0"
    place = Place(policy={"devices": {
        "a": {"match": {"class": "0x010802"}, "start": "boot",
              "users": ["of-a-directory-service"]}},
        "limits": {"of-a-directory-service": {"devices": 1}}})
    command = [PROGRAM, "--config", place.daemon.config, "--root", place.root]

    def override(device):
        return read("%s/sys/bus/pci/devices/%s/driver_override"
                    % (place.root, device))

    before = override(NVME)
    done = subprocess.run(command + ["--early"], capture_output=True,
                          text=True, check=False, timeout=PATIENCE)
    ok(done.returncode == 0 and override(free).startswith("vfio-pci") and
       free + ": kept for vfio-pci" in done.stderr,
       "--early: a device without a driver is kept for its own", done)
    ok(override(NVME) == before and
       NVME + ": driver nvme has it already" in done.stderr,
       "what has a driver is left to the daemon", done)
    done = subprocess.run(command + ["--udev", free], capture_output=True,
                          text=True, check=False, timeout=PATIENCE)
    ok(done.stdout == "IOMMUD_DRIVER=vfio-pci\n",
       "--udev: users that are not known yet are no obstacle", done)
    place.daemon.write_policy({"device": {}})
    done = subprocess.run(command + ["--early"], capture_output=True,
                          text=True, check=False, timeout=PATIENCE)
    ok(done.returncode == 1 and "'device' is not known" in done.stderr,
       "--early: errors of the policy are named", done)
    place.temporary.cleanup()


def test_state_directory():
    """Records that others may have written are not believed."""
    for mode, below in ((0o777, ""), (0o775, "/undo")):
        place = Place()
        os.makedirs(place.daemon.state + below)
        os.chmod(place.daemon.state + below, mode)
        try:
            place.daemon.start()
            ok(False, "started on %s with mode %o" % (below, mode))
        except RuntimeError as error:
            ok("nobody but its owner" in str(error),
               "a state directory that others can write to: not started",
               error)
        place.temporary.cleanup()


def test_end_while_binding():
    """A child that binds waits where the kernel would be asked to probe."""
    place = Place()
    probe = place.root + "/sys/bus/pci/drivers_probe"
    undo = place.daemon.state + "/undo"
    if os.path.exists(probe):
        os.unlink(probe)
    os.mkfifo(probe)

    def override():
        return read_raw("%s/sys/bus/pci/devices/%s/driver_override"
                        % (place.root, NVME))

    def bind():
        """The child, when it has begun."""
        client = place.daemon.client()
        client.send("Bind", {"devices": [NVME]})
        wait_until(lambda: override().startswith("vfio-pci"))
        pid = place.daemon.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid),
                  encoding="ascii") as f:
            return client, int(f.read().split()[0])

    place.daemon.start()
    client, child = bind()
    place.daemon.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    going = place.daemon.process.poll() is None
    read(probe)
    status = place.daemon.process.wait(PATIENCE)
    ok(going and status == 0 and not os.listdir(undo) and
       override()[0] == "\n",
       "SIGTERM: a binding is ended first, or undone",
       "%s %s %s" % (going, status, os.listdir(undo)))
    client.close()

    place.daemon.start()
    # Of a binding that somebody has undone by hand since.
    place.undo(NVME, driver="wrong", bound=True)
    client, child = bind()
    place.daemon.stop(signal.SIGKILL)
    took = wait_until(lambda: not os.path.exists("/proc/%d" % child))
    record = json.loads(read("%s/%s.json" % (undo, NVME)))
    ok(record["driver"] == "nvme" and not record["bound"],
       "what is written down is the driver of now", record)
    ok(took is not None and os.listdir(undo) == [NVME + ".json"],
       "SIGKILL: nobody goes on with it, and what it was is written down",
       os.listdir(undo))
    client.close()
    with place as daemon:
        wait_until(lambda: not os.listdir(undo))
        ok(not os.listdir(undo) and override()[0] == "\n",
           "the next daemon undoes it", daemon.read_log())


def test_undo_records():
    """A record that names other files changes none of them."""
    place = Place()
    undo = place.daemon.state + "/undo"
    os.makedirs(undo)
    victim = place.root + "/victim"
    with open(victim, "w", encoding="ascii") as f:
        f.write("whole")
    for i, record in enumerate((
            {"device": "../../../../../victim", "to": "x"},
            {"device": NVME, "driver": "../../victim", "to": "vfio-pci"},
            {"device": NVME, "to": "../x"}, {"device": 1, "to": "x"},
            {"device": "0000:77:00.0", "to": "vfio-pci"})):
        with open("%s/%d.json" % (undo, i), "w", encoding="ascii") as f:
            json.dump(dict(record, bound=False), f)
    before = read("%s/sys/bus/pci/devices/%s/driver_override"
                  % (place.root, NVME))
    with place as daemon:
        wait_until(lambda: not daemon.call("GetStatus")["jobs"])
        ok(read(victim) == "whole" and not os.listdir(undo) and
           read("%s/sys/bus/pci/devices/%s/driver_override"
                % (place.root, NVME)) == before,
           "undo records of no device, or with paths in them, do nothing",
           "%s %s" % (os.listdir(undo), daemon.read_log()))


def test_undo_of_bound():
    """Devices that a VFIO driver has had all the time, and perhaps a user."""
    place = Place()
    override = "%s/sys/bus/pci/devices/%%s/driver_override" % place.root
    before = {name: read(override % name) for name in (DEV, NVME)}
    record = place.undo(DEV)
    os.rename(place.undo(NVME), record.replace(DEV, NVME) + ".AbC123")
    place.lease(DEV)
    with place as daemon:
        wait_until(lambda: not daemon.call("GetStatus")["jobs"])
        ok(os.listdir(daemon.state + "/undo") == [DEV + ".json"] and
           json.loads(read(record))["bound"] and
           before == {name: read(override % name) for name in before},
           "nothing is undone of a device that is leased, nor for a record "
           "that was not written whole", daemon.read_log())
        daemon.stop()
        os.unlink(daemon.state + "/leases/lease.json")
        daemon.start()
        was = json.loads(read(record))
        error = daemon.error("Bind", devices=[DEV], driver="nvme")
        now = json.loads(read(record))
        ok("did not take" in error.message and
           [now[k] for k in ("driver", "to", "bound")] ==
           [was[k] for k in ("driver", "to", "bound")],
           "a move to another driver that fails leaves the record as it was",
           "%s %s %s" % (error, was, now))
        os.unlink(record)
        daemon.error("Bind", devices=[DEV], driver="nvme")
        ok(not os.path.exists(record), "or none where there was none")
        daemon.stop()
        # Killed in the middle of such a move, before it had begun.
        place.undo(DEV, **{"from": "vfio-pci", "to": "nvme"})
        daemon.start()
        wait_until(lambda: not daemon.call("GetStatus")["jobs"])
        now = json.loads(read(record))
        ok(now["bound"] and now["to"] == "vfio-pci" and
           read(override % DEV).startswith("vfio-pci"),
           "one that was interrupted goes back to the VFIO driver it had",
           "%s %s" % (now, daemon.read_log()))


def test_retry():
    """What could not be bound is tried again, and bound when it can be."""
    place = Place(policy={"devices": {
        "a": {"match": {"address": NVME}, "start": "boot"}}})
    with place as daemon:
        monitor = daemon.client()
        monitor.send("Monitor", more=True)
        monitor.receive()
        device = place.root + "/sys/bus/pci/devices/" + NVME
        wait_until(lambda: "next try" in daemon.read_log())
        log = daemon.read_log()
        ok("not bound as the policy says: vfio-pci did not take" in log,
           "a binding by policy that fails is told, and tried again", log)
        os.unlink(device + "/driver")
        os.symlink("../../../bus/pci/drivers/vfio-pci", device + "/driver")
        tries = daemon.read_log().count("not bound as the policy says")
        wait_until(lambda: False, 3)
        ok(daemon.read_log().count("not bound as the policy says") <=
           tries + 1, "and no more once it has its driver", daemon.read_log())
        monitor.close()


def test_many_devices():
    lines = ["group %d DMA" % i for i in range(2000)]
    lines += ["device 0000:%02x:%02x.%d 8086:1234 020000 group=%d iommu=dmar0"
              " driver=e1000e" % (i >> 8, i >> 3 & 31, i & 7, i)
              for i in range(2000)]
    with Place(description="\n".join(lines) + "\n") as daemon:
        devices = daemon.call("ListDevices")["devices"]
        ok(len({d["device"] for d in devices}) == 2000 and
           not any(d["viable"] for d in devices), "2000 devices are listed")


def test_queued_files():
    """A user that receives no replies has few descriptors wait for it."""
    with Place(policy={"ioases": {"many": {"regions": {
            "r%d" % i: {"size": 4096, "iova": hex(i << 12)}
            for i in range(32)}}}}) as daemon:
        before = daemon.fds()
        greedy = [daemon.client() for _ in range(10)]
        for client in greedy:
            client.sock.sendall(100 * (json.dumps({
                "method": INTERFACE + ".OpenIoas",
                "parameters": {"name": "many"}}).encode() + b"\0"))
        # Or as many as the kernel allows are on their way.
        refused = wait_until(lambda: re.search(
            "hold too much|are not received", daemon.read_log()))
        # Files of who is refused are closed right after that was logged.
        few = wait_until(lambda: daemon.fds() - before <= 256 + len(greedy), 5)
        ok(refused is not None and few is not None,
           "more than that: disconnected", "%d %d %s" % (
               before, daemon.fds(), daemon.read_log()))
        for client in greedy:
            client.close()


def test_incomplete():
    """Of which modules systemd could not know."""
    got = []
    place = Place()
    with place as daemon:
        for path, there in (("/sys/module/granule_vfio", True),
                            ("/dev/iommu", False),
                            ("/sys/module/granule_vfio", False)):
            got.append(os.path.exists(daemon.state + "/incomplete"))
            daemon.stop()
            if there:
                os.makedirs(place.root + path)
            else:
                os.rename(place.root + path, place.root + "/away")
            daemon.start()
            if not there:
                got.append(os.path.exists(daemon.state + "/incomplete"))
                os.rename(place.root + "/away", place.root + path)
                daemon.stop()
                daemon.start()
        ok(got == [True, False, True, False, True], "a daemon that starts "
           "without /dev/iommu or nodes of devices leaves a word for udev",
           got)


def test_huge_pages():
    """Memory of other pages is other memory."""
    huge = 2 << 20
    if not os.path.isdir("/sys/kernel/mm/hugepages/hugepages-2048kB"):
        tap.skip("huge pages of a region", "none of 2 MiB")
        return
    region = {"size": huge, "iova": "0x200000"}

    def policy(**more):
        return {"ioases": {"pool": {"regions": {"r": dict(region, **more)}}}}

    with Place(policy=policy()) as daemon:
        sizes = []
        for now in ({}, {"huge_pages": "2M"}, {"huge_pages": "4K"}):
            daemon.write_policy(policy(**now))
            daemon.call("Reload")
            client = daemon.client()
            client.call("OpenIoas", name="pool")
            sizes.append(os.fstatvfs(client.fds[0]).f_bsize)
            client.close()
        ok(sizes == [4096, huge, 4096], "a region is made anew for pages of "
           "another size", "%s %s" % (sizes, daemon.read_log()))


def main():
    with Place() as daemon:
        daemon.root = daemon.root or ""
        test_stock_client(daemon)
        test_calls(daemon)
        test_edit(daemon)
        test_monitor(daemon)
        if ROOT:
            test_permissions(daemon)
        else:
            ok(True, "who may what # SKIP not root")
        test_policy(daemon)
        test_bind(daemon)
        ok(daemon.stop() == 0, "SIGTERM: status 0", daemon.read_log())
    test_edit_in_use()
    test_busy_kernel()
    test_group()
    test_broken_start()
    test_interrupted()
    test_systemd()
    test_socket()
    test_udev()
    test_early()
    test_state_directory()
    test_undo_records()
    test_undo_of_bound()
    test_end_while_binding()
    test_retry()
    test_many_devices()
    test_huge_pages()
    test_incomplete()
    test_queued_files()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
