"""What the attackers have in common: io_uring(7) by raw system calls, the lease protocol, and the
scene, a folder in which test and attacker tell each other how far they are.

The tests pass the text of this file and of an attack to `python3 -c`, since the attacker's user
need not be able to read the files."""
import array
import ctypes
import json
import mmap
import os
import socket
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
SETUP, ENTER, REGISTER = 425, 426, 427
REGISTER_BUFFERS = 0
READ_FIXED, WRITE_FIXED = 4, 5


def system_call(number, *arguments):
    words = [a if isinstance(a, ctypes.Array) else ctypes.c_long(a) for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, "system call %d: %s" % (number, os.strerror(error)))
    return result


class Ring:
    """A ring with one fixed buffer, whose pages the kernel keeps pinned as long as the ring."""

    def __init__(self):
        params = (ctypes.c_uint32 * 30)()
        self.file = system_call(SETUP, 4, params)
        # struct io_uring_params: ten words, then the offsets of both rings, of ten words each.
        submissions, completions = params[10:20], params[20:30]
        shared = mmap.MAP_SHARED | mmap.MAP_POPULATE
        self.submitted = mmap.mmap(self.file, submissions[6] + 4 * params[0], shared, offset=0)
        self.completed = mmap.mmap(
            self.file, completions[5] + 16 * params[1], shared, offset=0x8000000)
        self.entries = mmap.mmap(self.file, 64 * params[0], shared, offset=0x10000000)
        self.tail, self.mask, self.array = submissions[1], submissions[2], submissions[6]
        self.head, self.done = completions[0], completions[5]

    def register(self, memory):
        """Pins a mapping's pages. The ring can reach them when nothing maps them any more."""
        place = ctypes.c_char.from_buffer(memory)
        self.address, self.length = ctypes.addressof(place), len(memory)
        vector = (ctypes.c_uint64 * 2)(self.address, self.length)
        system_call(REGISTER, self.file, REGISTER_BUFFERS, vector, 1)

    def transfer(self, operation, file):
        """Moves all of the buffer to a file (WRITE_FIXED) or from it (READ_FIXED)."""
        offset = 0
        while offset < self.length:
            offset += self.submit(operation, file, offset)

    def submit(self, operation, file, offset):
        entry = struct.pack(
            "<BBHiQQIIQHHiQQ", operation, 0, 0, file, offset, self.address + offset,
            min(self.length - offset, 1 << 20), 0, 1, 0, 0, 0, 0, 0)
        tail, = struct.unpack_from("<I", self.submitted, self.tail)
        mask, = struct.unpack_from("<I", self.submitted, self.mask)
        self.entries[(tail & mask) * 64:(tail & mask) * 64 + 64] = entry
        struct.pack_into("<I", self.submitted, self.array + 4 * (tail & mask), tail & mask)
        struct.pack_into("<I", self.submitted, self.tail, tail + 1)
        system_call(ENTER, self.file, 1, 1, 1, 0, 0)
        head, = struct.unpack_from("<I", self.completed, self.head)
        _, result, _ = struct.unpack_from("<QiI", self.completed, self.done + 16 * (head & 7))
        struct.pack_into("<I", self.completed, self.head, head + 1)
        if result <= 0:
            raise OSError(-result, "operation %d: %s" % (operation, os.strerror(-result)))
        return result

    def read(self):
        """The bytes of the pinned pages."""
        copy = os.memfd_create("copy")
        self.transfer(WRITE_FIXED, copy)
        return os.pread(copy, self.length, 0)

    def write(self, text):
        """Fills the pinned pages with a text."""
        source = os.memfd_create("source")
        os.write(source, (text * self.length)[: self.length])
        self.transfer(READ_FIXED, source)


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(path)
    return connection


def packet(**lines):
    return "\n".join(["HOLDFAST=1"] + ["%s=%s" % line for line in lines.items()]).encode()


def answer(connection):
    """An answer's keys, and the descriptor that came with it or None."""
    text, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
    files = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[:4])
    keys = dict(line.split("=", 1) for line in text.decode().splitlines())
    return keys, files[0] if files else None


def ask(path, **lines):
    connection = connect(path)
    connection.sendall(packet(**lines))
    return answer(connection)


def attempt(action, *arguments):
    """Whether the kernel permits an action."""
    try:
        action(*arguments)
        return True
    except OSError:
        return False


class Scene:
    def __init__(self, path):
        self.path = path

    def tell(self, name, value=None):
        """Writes a file that is complete as soon as it is there."""
        with open(self.path + "/new-" + name, "w") as file:
            json.dump(value, file)
        os.rename(self.path + "/new-" + name, self.path + "/" + name)

    def has(self, name):
        return os.path.exists(self.path + "/" + name)

    def wait(self, name):
        end = time.monotonic() + 120
        while not self.has(name) and time.monotonic() < end:
            time.sleep(0.002)
