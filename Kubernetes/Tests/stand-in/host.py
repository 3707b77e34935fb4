"""The node: a reservoir with its service, the plugin, and pods' views of memory."""

import ctypes
import fcntl
import mmap
import os
import signal
import socket
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
USER = 64201


def wait_for(condition, what, seconds=20):
    """Waits until a condition holds, and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (seconds, what))
        time.sleep(0.01)


def free_huge_pages():
    try:
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") as file:
            return int(file.read())
    except OSError:
        return 0


def lock_huge_pages():
    """The lock of the tests that use up huge pages (HugePageLock)."""
    try:
        lock = os.open(
            "/tmp/holdfast-huge-pages.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        pass


def bind_mount(source, target):
    open(target, "w").close()
    if LIBC.mount(source.encode(), target.encode(), None, 4096, None) != 0:
        raise OSError(ctypes.get_errno(), "mount %s" % source)


def unmount(target):
    LIBC.umount2(target.encode(), 2)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Reservoir:
    """A reservoir of its own with a service, on hugetlbfs or tmpfs."""

    #: All that have been made, for the end.
    all = []

    def __init__(self, program, folder, levels, huge):
        Reservoir.all.append(self)
        os.makedirs(folder, exist_ok=True)
        self.program, self.folder, self.levels, self.huge = program, folder, levels, huge
        self.mount = folder + "/mount"
        self.socket = folder + "/reservoir.sock"
        self.metrics = free_port()
        self.log = open(folder + "/service.log", "w")
        os.mkdir(self.mount)
        kind = ("hugetlbfs", "pagesize=2M") if huge else ("tmpfs", "mode=755")
        subprocess.run(["mount", "-t", kind[0], "-o", kind[1], "none", self.mount], check=True)
        self.command("init")
        self.process = None
        self.configure(levels)

    def configure(self, levels):
        """Writes the configuration, also for a service that runs."""
        with open(self.folder + "/reservoir.conf", "w") as file:
            file.write("[reservoir]\nmount = %s\ninterval = 1\n" % self.mount)
            file.write("[socket]\npath = %s\ngroup = %d\n" % (self.socket, USER))
            file.write("[metrics]\nlisten = 127.0.0.1:%d\n" % self.metrics)
            for level in levels:
                file.write("[level]\nfiles = %dx%s\n%s" % level)
        if self.process:
            self.process.send_signal(signal.SIGHUP)

    def command(self, *words):
        """A command of root's, which needs no service."""
        subprocess.run(
            [self.program, "reservoir", *words, "--mount", self.mount], check=True,
            stdout=subprocess.DEVNULL)

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "reservoir", "serve", "--config", self.folder + "/reservoir.conf"],
            stdout=self.log, stderr=self.log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def names(self, folder):
        try:
            return sorted(os.listdir("%s/holdfast/%s" % (self.mount, folder)))
        except FileNotFoundError:
            return []

    @property
    def ready(self):
        return self.names("ready")

    @property
    def leases(self):
        return self.names("leased/%d" % USER)

    def is_full(self):
        return len(self.ready) == sum(level[0] for level in self.levels)


class PluginProcess:
    #: More than the reservoir ever holds.
    LIMIT = 1 << 30

    def __init__(self, program, folder, reservoir, log):
        self.program = program
        self.metrics = free_port()
        self.command = [
            program, "--user", "%d:%d" % (USER, USER),
            "--folder", folder, "--pod-resources", folder + "/pod-resources.sock",
            "--grace", "3", "--interval", "100", "--wait", "2000",
            "--metrics", "127.0.0.1:%d" % self.metrics, "--settle", "1"]
        self.reservoirs = [reservoir]
        self.page = "2M" if reservoir.huge else "4K"
        self.limit = self.LIMIT
        self.log = log
        self.process = None

    def start(self):
        options = ["--limit", "%s=%d" % (self.page, self.limit)]
        for reservoir in self.reservoirs:
            options += ["--socket", reservoir.socket,
                        "--service-metrics", "127.0.0.1:%d" % reservoir.metrics]
        self.process = subprocess.Popen(
            self.command + options, stdout=self.log, stderr=self.log)

    def restart(self, limit=LIMIT, reservoirs=()):
        """Starts it again, with other limits or more reservoirs."""
        self.kill()
        self.limit = limit
        self.reservoirs = self.reservoirs[:1] + list(reservoirs)
        self.start()

    def lines(self, text):
        """The lines of the log with a text."""
        with open(self.log.name) as file:
            return [line for line in file if text in line]

    def check_accounting(self):
        """What a readiness probe does: the status and the line."""
        result = subprocess.run(
            [self.program, "--check-accounting", "127.0.0.1:%d" % self.metrics],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return result.returncode, result.stdout

    def request(self, data):
        """Sends bytes to the port of the metrics; returns all that comes back."""
        with socket.create_connection(("127.0.0.1", self.metrics), timeout=10) as client:
            received = b""
            try:
                client.sendall(data)
                while True:
                    more = client.recv(65536)
                    if not more:
                        break
                    received += more
            except ConnectionError:
                pass
            return received

    def get(self, path):
        """The status and the text of a path."""
        answer = self.request(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def resident(self):
        with open("/proc/%d/status" % self.process.pid) as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon")}


class Memory:
    """A pod's memory, through its mounts alone, as a user who is neither root nor the plugin's."""

    def __init__(self, folder, pod, answer):
        self.paths = []
        self.files = []
        self.maps = []
        mounts = {mount.container_path: mount for mount in answer.mounts}
        number = 0
        while "HOLDFAST_MEMORY_%d" % number in answer.envs:
            mount = mounts[answer.envs["HOLDFAST_MEMORY_%d" % number]]
            assert not mount.read_only
            path = "%s/%s-%d" % (folder, pod, number)
            bind_mount(mount.host_path, path)
            self.paths.append(path)
            self.size = int(answer.envs["HOLDFAST_SIZE_%d" % number])
            number += 1
        assert number > 0, answer

    def open(self):
        """Opens and maps all of it, and checks that it is zero."""
        for path in self.paths:
            file = as_user(lambda: os.open(path, os.O_RDWR))
            assert os.fstat(file).st_size == self.size
            memory = mmap.mmap(file, self.size)
            self.files.append(file)
            self.maps.append(memory)
            assert memory[:].count(0) == self.size, "memory of another pod is not zero"

    def identities(self):
        return [(os.fstat(file).st_dev, os.fstat(file).st_ino) for file in self.files]

    def write(self, text):
        for memory in self.maps:
            for offset in range(0, self.size, 4096):
                memory[offset:offset + len(text)] = text

    def check(self, text):
        for memory in self.maps:
            for offset in range(0, self.size, 4096):
                assert memory[offset:offset + len(text)] == text, "another pod wrote to this memory"

    def close(self):
        for memory in self.maps:
            memory.close()
        for file in self.files:
            os.close(file)
        for path in self.paths:
            unmount(path)
            os.unlink(path)
        self.paths, self.files, self.maps = [], [], []


def as_user(body, user=65534):
    """Calls a function as another user, in this thread."""
    SYS_SETRESUID = 117
    if LIBC.syscall(SYS_SETRESUID, -1, user, -1) != 0:
        raise OSError(ctypes.get_errno(), "setresuid")
    try:
        return body()
    finally:
        LIBC.syscall(SYS_SETRESUID, -1, 0, -1)


def send_bytes(path, data, answer=True):
    """Sends bytes to a socket; returns what came back until its end, or nothing after a second."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        client.connect(path)
        received = b""
        try:
            client.sendall(data)
            while answer:
                more = client.recv(65536)
                if not more:
                    break
                received += more
        except (TimeoutError, ConnectionError):
            pass
        return received
