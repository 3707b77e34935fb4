"""names.py SCENE MOUNT: tries all that a member of the group could do to the names and files of the
reservoir, until the test says stop. The test tells the names of the ready files, which a member
could otherwise not know. The result lists what the kernel permitted."""

EXCHANGE = 2
scene = Scene(sys.argv[1])
mount = sys.argv[2]
top = mount + "/holdfast"
ready, filling, leased = top + "/ready", top + "/filling", top + "/leased"
mine = "%s/%d" % (leased, os.getuid())
permitted = set()


def exchange(left, right):
    if libc.renameat2(-100, left.encode(), -100, right.encode(), EXCHANGE) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def spoil(path):
    """F9: holes, bytes beyond the end, other contents."""
    file = os.open(path, os.O_RDWR)
    try:
        libc.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(2 << 20))
        os.ftruncate(file, os.fstat(file).st_size + (2 << 20))
    finally:
        os.close(file)


def note(what, action, *arguments):
    if attempt(action, *arguments):
        permitted.add(what)


def known():
    try:
        with open(scene.path + "/names") as file:
            return json.load(file)
    except (OSError, ValueError):
        return []


def round():
    for folder in (top, ready, filling, leased, mine, leased + "/0"):
        place = folder[len(top):] or "/"
        note("list " + place, os.listdir, folder)
        note("make a folder in " + place, os.mkdir, folder + "/12345")
        note("link into " + place, os.link, mine + "/a", folder + "/s")
        note("create a symbolic link in " + place, os.symlink, "/etc/passwd", folder + "/l")
        note("chmod " + place, os.chmod, folder, 0o777)
    for name in known():
        file = ready + "/" + name
        note("spoil a ready file", spoil, file)
        note("link a ready file", os.link, file, mine + "/s")
        note("link a ready file into the mount", os.link, file, mount + "/s")
        note("rename a ready file", os.rename, file, mine + "/s")
        note("rename a file to ready", os.rename, mine + "/a", file)
        note("exchange a ready file", exchange, mine + "/a", file)
    for name in ("vm.run", "vm"):
        note("open root's lease", os.open, leased + "/0/" + name, os.O_RDWR)
        note("link root's lease", os.link, leased + "/0/" + name, mount + "/t")
    note("exchange own leases", exchange, mine + "/a", mine + "/b")
    note("rename an own lease", os.rename, mine + "/a", mine + "/c")
    note("rename a file back to ready", os.rename, mine + "/s", ready + "/4M-0123456789abcdef")
    note("move the reservoir", os.rename, top, mount + "/other")
    note("remove the socket", os.unlink, top + "/socket")
    note("remove root's folder", os.rmdir, leased + "/0")


round()
scene.tell("started")
end = time.monotonic() + 300
while not scene.has("stop") and time.monotonic() < end:
    round()
scene.tell("result", sorted(permitted))
