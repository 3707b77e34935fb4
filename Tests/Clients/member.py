"""member.py LOG SOCKET PLACE TAG COUNT [LEASE...]: a member who leases and releases at random, and
notes each step in LOG before and after it, so that the test knows what the member was told when it
is killed. PLACE is the folder of the member's leases. LEASE... are plain leases of before, which the
member may release.

Leased memory must be zero and the file that the path refers to. It is then filled with the name of
the lease, which must be in it until the end of the lease."""
import array
import mmap
import os
import random
import socket
import sys
import time

MEBIBYTE = 1 << 20
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
path, place, tag, count = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
random.seed(tag)
leases = set(sys.argv[6:])


def note(*words):
    os.write(log, (" ".join(map(str, words)) + "\n").encode())


def exchange(**lines):
    """An answer and its descriptor, or None where the service ended meanwhile."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(30)
    with connection:
        try:
            connection.connect(path)
            text = ["HOLDFAST=1"] + ["%s=%s" % line for line in lines.items()]
            connection.sendall("\n".join(text).encode())
            answer, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
        except TimeoutError:
            note("fault", "no answer to", lines)
            return None, None
        except OSError:
            return None, None
    if not answer:
        return None, None
    files = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[:4])
    return answer.decode(), files[0] if files else None


def ask(**lines):
    """An answer's keys, which are none where there is no answer, and its descriptor."""
    answer, file = exchange(**lines)
    return dict(line.split("=", 1) for line in (answer or "").splitlines()), file


def pattern(name):
    return (name.encode() + b" " * 16)[:16]


def check(name, file, suffix=""):
    """Checks that a leased file has its name, and the contents that its member has written."""
    try:
        found = os.stat("%s/%s%s" % (place, name, suffix))
    except OSError as error:
        return note("fault", name, "is lost:", error)
    status = os.fstat(file)
    if found.st_ino != status.st_ino or status.st_nlink != 1:
        note("fault", name, "is another file", found.st_ino, status)
    with mmap.mmap(file, status.st_size) as memory:
        if memory[:] != pattern(name) * (len(memory) // 16):
            note("fault", name, "has other contents")


def take(name, file, size, suffix=""):
    """Checks and marks the memory of a new lease."""
    status = os.fstat(file)
    note("told", name + suffix, status.st_ino)
    if status.st_size != size:
        note("fault", name, "has the size", status.st_size)
    with mmap.mmap(file, size) as memory:
        if memory[:] != bytes(size):
            note("fault", name, "is not zero when it is leased")
        memory[:] = pattern(name) * (size // 16)
    note("marked", name + suffix)
    check(name, file, suffix)


def lease(name, held):
    size = random.choice([4, 4, 8, 12]) * MEBIBYTE
    lines = {"HELD": 1} if held else {}
    if size > 8 * MEBIBYTE:
        lines["GROW"] = 1
    suffix = ".run" if held else ""
    note("lease", name + suffix)
    keys, file = ask(
        REQUEST="lease", BYTES=size, NAME=name, WAIT=random.choice([0, 100, 300]), **lines)
    if keys.get("RESULT") == "lease":
        take(name, file, size, suffix)
        if held:
            time.sleep(random.random() / 50)
            check(name, file, suffix)
            note("end", name + suffix)
        else:
            leases.add(name)
        os.close(file)
    elif keys:
        note("none", name + suffix)
        if keys.get("CODE") not in ("noReadyMemory", "resourceShortage"):
            note("fault", name, "is not leased:", keys)
    else:
        pause()


def release(name):
    leases.remove(name)
    try:
        file = os.open("%s/%s" % (place, name), os.O_RDWR)
        check(name, file)
        os.close(file)
    except OSError as error:
        note("fault", name, "does not open:", error)
    note("release", name)
    keys, _ = ask(REQUEST="release", NAME=name)
    if keys.get("RESULT") == "release":
        note("released", name)
    elif keys.get("CODE") == "busy":
        # A collection has it open.
        note("kept", name)
        leases.add(name)
    elif keys:
        note("fault", name, "is not released:", keys)
    else:
        pause()


def status():
    note("status")
    answer, _ = exchange(REQUEST="status")
    if answer is None:
        return pause()
    lines = answer.splitlines()
    listed = set(line[6:].split()[0] for line in lines if line.startswith("LEASE="))
    if "RESULT=status" not in lines or not leases <= listed:
        note("fault", "the status of", sorted(leases), "is", lines)


def pause():
    """Waits for the next service."""
    note("unanswered")
    time.sleep(0.01)


for number in range(count):
    kind = random.choice(["lease", "lease", "held", "release", "release", "status"])
    if kind == "release" and leases:
        release(random.choice(sorted(leases)))
    elif kind == "status":
        status()
    else:
        lease("%s-%d" % (tag, number), kind == "held")
note("done")
