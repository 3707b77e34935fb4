"""together.py SOCKET START: a member who leases 4 MiB as soon as the test unlocks the file START.
Prints a line before, and then the lease's inode, the number of bytes that are not zero, and the
seconds that the answer took; or the code of the error and the seconds."""
import array
import fcntl
import os
import socket
import sys
import time

start = os.open(sys.argv[2], os.O_RDONLY)
print("waits", flush=True)
fcntl.flock(start, fcntl.LOCK_SH)
begin = time.monotonic()
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.connect(sys.argv[1])
connection.sendall(b"HOLDFAST=1\nREQUEST=lease\nBYTES=4194304\nNAME=vm")
answer, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
seconds = time.monotonic() - begin
keys = dict(line.split("=", 1) for line in answer.decode().splitlines())
if keys["RESULT"] != "lease":
    print(keys["CODE"], seconds)
    sys.exit()
files = array.array("i")
files.frombytes(control[0][2][:4])
status = os.fstat(files[0])
content = os.pread(files[0], status.st_size, 0)
os.pwrite(files[0], b"%d" % os.getuid(), 0)
print(status.st_ino, len(content) - content.count(0), seconds)
