#!/usr/bin/env python3
"""A client of the lease protocol (docs/socket.md), without Holdfast: lease.py SOCKET KEY=VALUE...

Sends one request, prints the answer's lines, and, if a file came with it, its size and how many of
its bytes are not zero. With MARK=TEXT the file is then filled with that text; with HOLD=SECONDS the
program keeps it open so long."""
import array
import os
import socket
import sys
import time


def ask(path, lines):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(path)
    connection.sendall("\n".join(["HOLDFAST=1"] + lines).encode())
    answer, control, flags, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
    files = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    return answer.decode(), list(files)


if __name__ == "__main__":
    lines = [word for word in sys.argv[2:] if not word.startswith(("MARK=", "HOLD="))]
    options = dict(word.split("=", 1) for word in sys.argv[2:] if word not in lines)
    answer, files = ask(sys.argv[1], lines)
    print(answer)
    for file in files:
        size = os.fstat(file).st_size
        content = os.pread(file, size, 0)
        print("FILE=%d %d" % (size, size - content.count(0)))
        if "MARK" in options:
            os.pwrite(file, (options["MARK"] * size).encode()[:size], 0)
    sys.stdout.flush()
    time.sleep(float(options.get("HOLD", 0)))
