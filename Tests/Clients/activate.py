"""activate.py PROGRAM ARGUMENT... -- PATH...: starts a program with listening sockets, as systemd
does (sd_listen_fds(3)): they block, since NonBlocking= is off by default."""
import os
import socket
import sys

mark = sys.argv.index("--")
words, paths = sys.argv[1:mark], sys.argv[mark + 1:]
for number, path in enumerate(paths):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(8)
    os.dup2(listener.detach(), 100 + number)
for number in range(len(paths)):
    os.dup2(100 + number, 3 + number)
    os.close(100 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(paths)))
os.execv(words[0], words)
