"""monitor.py LOG NAME FLAG PATH FILE: a monitor that `holdfast run` has started. It checks that its
memory is zero, fills it with NAME, and checks that it keeps it until FLAG exists."""
import mmap
import os
import sys
import time

log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
name, flag, path, file = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])


def note(*words):
    os.write(log, (" ".join(map(str, words)) + "\n").encode())


status = os.fstat(file)
text = (name.encode() + b" " * 16)[:16] * (status.st_size // 16)
with mmap.mmap(file, status.st_size) as memory:
    if memory[:] != bytes(status.st_size):
        note("fault", name, "is not zero when it is leased")
    memory[:] = text
    note("process", os.getpid())
    end = time.monotonic() + 60
    while not os.path.exists(flag) and time.monotonic() < end:
        time.sleep(0.002)
    if memory[:] != text:
        note("fault", name, "has other contents")
    # Its leased folder lets it look up its own name.
    try:
        if os.stat(path).st_ino != status.st_ino:
            note("fault", name, "is another file")
    except OSError as error:
        note("fault", name, "is lost:", error)
note("done")
