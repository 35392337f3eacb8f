# SPDX-License-Identifier: GPL-2.0-only
"""A daemon to test, and a Varlink client that takes descriptors."""

import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import time

INTERFACE = "org.granule.iommud"
MAX_FDS = 64
# Seconds: the machine may be slow and busy, and nobody waits who need not.
PATIENCE = 60


class Error(Exception):
    """An error reply."""

    def __init__(self, reply):
        self.name = reply["error"]
        self.parameters = reply.get("parameters", {})
        super().__init__("%s %s" % (self.name, self.parameters))

    @property
    def short(self):
        return self.name.rsplit(".", 1)[1]

    @property
    def message(self):
        return self.parameters.get("message", "")


class Client:
    """One connection. Close it by close(), or by dropping it."""

    def __init__(self, path, timeout=2 * PATIENCE):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.buffer = b""
        self.fds = []

    def send(self, method, parameters=None, **flags):
        if "." not in method:
            method = INTERFACE + "." + method
        call = dict(flags, method=method)
        if parameters is not None:
            call["parameters"] = parameters
        self.sock.sendall(json.dumps(call).encode() + b"\0")

    def receive(self):
        """A reply as it came; its descriptors are in self.fds."""
        while b"\0" not in self.buffer:
            data, fds, _, _ = socket.recv_fds(self.sock, 65536, MAX_FDS)
            self.fds += fds
            if not data:
                raise EOFError("disconnected")
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def reply(self):
        reply = self.receive()
        if "error" in reply:
            raise Error(reply)
        return reply["parameters"]

    def call(self, method, **parameters):
        self.send(method, parameters)
        return self.reply()

    def take_fds(self):
        fds, self.fds = self.fds, []
        return fds

    def close(self):
        for fd in self.take_fds():
            os.close(fd)
        self.sock.close()


def die_with_us():
    """In the child: killed when the test is, whatever ends that."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Filter(ctypes.Structure):
    """struct sock_filter"""
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8),
                ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class Program(ctypes.Structure):
    """struct sock_fprog"""
    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(Filter))]


def forbid(number, err):
    """In a child: this system call fails from now on."""
    load, jump, ret = 0x20, 0x15, 0x06
    filters = (Filter * 4)(Filter(load, 0, 0, 0), Filter(jump, 0, 1, number),
                           Filter(ret, 0, 0, 0x50000 | err),
                           Filter(ret, 0, 0, 0x7fff0000))
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.prctl(38, 1, 0, 0, 0) or
            libc.prctl(22, 2, ctypes.byref(Program(4, filters)))):
        raise OSError(ctypes.get_errno(), "seccomp")


IOAS_IOVA_RANGES, IOAS_MAP, IOAS_UNMAP = 0x3B84, 0x3B85, 0x3B86
# seccomp(2), ioctl(2)
NUMBERS = {"x86_64": (317, 16), "aarch64": (277, 29)}


class Kernel:
    """Answers some ioctls of /dev/iommu, when it is told to."""

    def __init__(self, first=IOAS_MAP, last=IOAS_UNMAP):
        self.first, self.last = first, last
        self.ours, self.theirs = socket.socketpair()
        self.listener = self.id = None

    def install(self):
        """In the child: the ioctls wait for answer() from now on."""
        seccomp, ioctl = NUMBERS[os.uname().machine]
        load, jump, atleast, ret = 0x20, 0x15, 0x35, 0x06
        filters = (Filter * 7)(
            Filter(load, 0, 0, 0), Filter(jump, 0, 4, ioctl),
            Filter(load, 0, 0, 24), Filter(atleast, 0, 2, self.first),
            Filter(atleast, 1, 0, self.last + 1),
            Filter(ret, 0, 0, 0x7fc00000), Filter(ret, 0, 0, 0x7fff0000))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(38, 1, 0, 0, 0)
        fd = libc.syscall(seccomp, 1, 8, ctypes.byref(Program(7, filters)))
        if fd < 0:
            raise OSError(ctypes.get_errno(), "seccomp")
        socket.send_fds(self.theirs, [b"x"], [fd])
        os.close(fd)

    def wait(self):
        """Until one comes: which it is, and of which process."""
        if self.listener is None:
            self.listener = socket.recv_fds(self.ours, 1, 1)[1][0]
        if not select.select([self.listener], [], [], PATIENCE)[0]:
            raise TimeoutError("no such ioctl")
        call = bytearray(80)
        fcntl.ioctl(self.listener, 0xc0502100, call)
        self.id, pid = struct.unpack_from("<QI", call)
        return struct.unpack_from("<Q", call, 40)[0], pid

    def answer(self, err=0):
        fcntl.ioctl(self.listener, 0xc0182101,
                    struct.pack("<QqiI", self.id, 0, -err, 0))

    def close(self):
        self.ours.close()
        self.theirs.close()
        if self.listener is not None:
            os.close(self.listener)


class Daemon:
    """A real one, with directories of its own."""

    def __init__(self, program, directory, root=None, policy=None, **options):
        self.program = program
        self.config = directory + "/etc"
        self.state = directory + "/run"
        self.socket = directory + "/sock"
        self.log = directory + "/log"
        self.root = root
        self.options = options
        self.process = None
        os.makedirs(self.config + "/iommud.d", exist_ok=True)
        if policy is not None:
            self.write_policy(policy)

    def write_policy(self, policy, name="test.json"):
        with open(self.config + "/" + name, "w", encoding="utf-8") as f:
            f.write(policy if isinstance(policy, str)
                    else json.dumps(dict({"version": 1}, **policy)))

    def start(self, preexec=None, env=None, passed=()):
        """With @passed, descriptors by name, as of systemd's store."""
        command = [self.program, "--config", self.config, "--state",
                   self.state, "--socket", self.socket]
        for name, value in self.options.items():
            command += ["--" + name, value]
        if self.root:
            command += ["--root", self.root]
        if passed:
            # $LISTEN_PID has to be the daemon's own: a shell knows it.
            command = ["sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""] + command
            env = dict(env or {}, LISTEN_FDS=str(len(passed)),
                       LISTEN_FDNAMES=":".join(passed))

        def prepare():
            die_with_us()
            high = [fcntl.fcntl(passed[n], fcntl.F_DUPFD_CLOEXEC, 100)
                    for n in passed]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
            if preexec:
                preexec()

        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                close_fds=not passed, preexec_fn=prepare,
                env=dict(os.environ, **(env or {})))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                client = self.client()
                client.call("GetStatus")
                client.close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        raise RuntimeError("iommud did not start:\n" + self.read_log())

    def read_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def client(self, **options):
        return Client(self.socket, **options)

    def call(self, method, **parameters):
        client = self.client()
        try:
            return client.call(method, **parameters)
        finally:
            client.close()

    def error(self, method, **parameters):
        """The error that a call has to end with."""
        try:
            reply = self.call(method, **parameters)
        except Error as error:
            return error
        raise AssertionError("%s succeeded: %s" % (method, reply))

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def status(self, field):
        """A line of /proc/PID/status, without its unit."""
        with open("/proc/%d/status" % self.process.pid,
                  encoding="ascii") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return line.split()[1]
        return None

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


def wait_until(condition, seconds=PATIENCE):
    """Seconds that it took; None when it did not come true."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if condition():
            return time.monotonic() - start
        time.sleep(0.01)
    return None


def answers(path):
    """Does a daemon listen there? Its socket is a file a little earlier."""
    try:
        Client(path).close()
        return True
    except OSError:
        return False


VFIO_BIND = 0x3B76


def vfio_bind(device, iommufd):
    fcntl.ioctl(device, VFIO_BIND, struct.pack("<IIiI", 16, 0, iommufd, 0))


def bind_errno(device, iommufd):
    try:
        vfio_bind(device, iommufd)
    except OSError as error:
        return error.errno
    return 0
