"""pin.py SCENE HOW PLACE...: gets hold of a file as HOW says, fills it with MEMBER, pins its pages
as a fixed buffer, and keeps neither a mapping nor a descriptor. When the test says so, it looks for
SECRET in the pages and fills them with EVIL."""


def pin(file):
    memory = mmap.mmap(file, min(os.fstat(file).st_size, 4 << 20))
    memory[:] = (b"MEMBER " * len(memory))[: len(memory)]
    ring = Ring()
    ring.register(memory)
    # The object has a duplicate of the descriptor, which is closed with it.
    memory.close()
    os.close(file)
    return ring


def of_path(path):
    return pin(os.open(path, os.O_RDWR))


def of_socket(path):
    keys, file = ask(path, REQUEST="lease", BYTES=4 << 20, NAME="pinned")
    ring = pin(file)
    keys, _ = ask(path, REQUEST="release", NAME="pinned")
    assert keys["RESULT"] == "release", keys
    return ring


def of_growth(path, place, size, rounds):
    """Opens a file while the service extends it in vain, which it then makes ready again."""
    for number in range(int(rounds)):
        name = "grown%d" % number
        connection = connect(path)
        connection.setblocking(False)
        connection.sendall(packet(REQUEST="lease", BYTES=size, NAME=name, GROW=1))
        while True:
            try:
                file = os.open("%s/%s" % (place, name), os.O_RDWR)
                ring = pin(file)
                connection.setblocking(True)
                keys, _ = answer(connection)
                return ring, keys
            except OSError:
                pass
            try:
                keys, _ = answer(connection)
                assert keys["RESULT"] == "error", keys
                break
            except BlockingIOError:
                pass
    return None, None


def main(scene, how, *place):
    scene = Scene(scene)
    if how == "helper" and os.fork() > 0:
        # The monitor ends when its helper needs it no more.
        scene.wait("pinned")
        return
    try:
        if how == "growth":
            ring, _ = of_growth(*place)
        else:
            ring = {"path": of_path, "helper": of_path, "socket": of_socket}[how](*place)
    except OSError as error:
        scene.tell("pinned", "error: %s" % error)
        return
    if how == "helper":
        # Also the descriptor that the monitor inherited.
        os.closerange(3, ring.file)
        os.closerange(ring.file + 1, 64)
    if ring is None:
        scene.tell("pinned", "nothing")
        return
    scene.tell("pinned", "pages")
    scene.wait("go")
    found = "saw the secret" if b"SECRET" in ring.read() else "saw nothing"
    ring.write(b"EVIL ")
    scene.tell("result", found)


main(*sys.argv[1:])
