"""crowd.py SCENE HOW SOCKET...: uses the service's socket as no well-behaved client does."""
import fcntl
import signal
import threading

MEBIBYTE = 1 << 20


def together(count, action):
    """Calls an action in threads that begin at once, and returns the results."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(number):
        barrier.wait()
        try:
            results[number] = action(number)
        except OSError as error:
            results[number] = "error: %s" % error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def leases(path, count, **lines):
    """Leases at the same time, and returns the bytes of each lease that was made."""
    def lease(number):
        keys, file = ask(path, REQUEST="lease", NAME="vm%d" % number, **lines)
        return int(keys["BYTES"]) if keys["RESULT"] == "lease" else keys["REASON"]
    return together(count, lease)


def vanish(path, count):
    """Closes connections before, while and after the service reads, with descriptors in them."""
    kinds = [
        b"", b"\0" * 2048, b"HOLDFAST=1\nREQUEST=lease", b"x" * 100_000,
        packet(REQUEST="lease", BYTES=4 * MEBIBYTE, HELD=1),
        packet(REQUEST="lease", BYTES=4 * MEBIBYTE, HELD=1, WAIT=60_000),
        packet(REQUEST="lease", BYTES=512 * MEBIBYTE, HELD=1, GROW=1),
        packet(REQUEST="status"),
    ]
    ends = os.pipe()

    def come(number):
        for step in range(count):
            kind = kinds[(number + step) % len(kinds)]
            connection = connect(path)
            if step % 3 == 0:
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", ends * 8))]
                attempt(connection.sendmsg, [kind or b" "], rights)
            elif kind:
                attempt(connection.sendall, kind)
            if step % 5 == 0:
                time.sleep(0.002)
            connection.close()
        return count
    return together(8, come)


def mute(scene, path, count):
    """Asks and never reads; also never asks."""
    connections = [connect(path) for _ in range(count)]
    for number, connection in enumerate(connections):
        if number % 2:
            attempt(connection.sendall, packet(REQUEST="lease", BYTES=4 * MEBIBYTE, HELD=1))
    scene.tell("mute")
    scene.wait("go")
    return count


def spoof(scene, path):
    """Listens in the service's place, and hands out a file of its own."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(8)
    scene.tell("listening")
    connection, _ = listener.accept()
    listener.settimeout(60)
    request = connection.recv(65536)
    if not request:
        return "no request"
    file = os.memfd_create("own")
    os.ftruncate(file, 4 * MEBIBYTE)
    reply = packet(
        RESULT="lease", PATH="/proc/%d/fd/%d" % (os.getpid(), file), NAME="vm", BYTES=4 * MEBIBYTE,
        PAGE=4096, TRIMMED=0, GROWN=0, HELD=0, EXCLUSIVE=1, WAITED=0, NANOSECONDS=0)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
    connection.sendmsg([reply], rights)
    return request.decode()


def foreign(path):
    """Releases leases of others, by whatever could pass for a name."""
    names = ["vm", "vm.run", "../0/vm", "0/vm", "vm\nUSER=0", "vm\0", "", ".", "/", "vm@0"]
    names.append("v" * 129)
    answers = []
    for name in names:
        keys, _ = ask(path, REQUEST="release", NAME=name)
        answers.append(keys["CODE"] if keys["RESULT"] == "error" else "released " + name)
    for line in ("USER", "UID", "OWNER"):
        keys, _ = ask(path, REQUEST="release", NAME="vm", **{line: 0})
        answers.append(keys["CODE"] if keys["RESULT"] == "error" else "released with " + line)
    return answers


def own(scene, path, place, mount):
    """Leases, and changes the own file in all ways while root ends the lease."""
    # The signal by which the kernel tells that another process wants the file.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    rounds, end = 0, time.monotonic() + 300
    while not scene.has("stop") and time.monotonic() < end:
        keys, file = ask(path, REQUEST="lease", BYTES=4 * MEBIBYTE, NAME="own")
        if file is None:
            time.sleep(0.001)
            continue
        rounds += 1
        scene.tell("leased", rounds)
        while attempt(os.stat, place + "/own") and not scene.has("stop"):
            for mode in (0o666, 0o000, 0o4777, 0o600):
                os.fchmod(file, mode)
            for size in (0, 128 * MEBIBYTE, 2 * MEBIBYTE, 8 * MEBIBYTE):
                os.ftruncate(file, size)
            libc.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(2 * MEBIBYTE))
            attempt(os.link, place + "/own", "%s/link%d" % (mount, rounds))
            attempt(os.chown, place + "/own", 0, 0)
            attempt(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            attempt(fcntl.fcntl, file, 1024, fcntl.F_WRLCK)
            attempt(fcntl.fcntl, file, 1024, fcntl.F_UNLCK)
            attempt(fcntl.flock, file, fcntl.LOCK_UN)
        os.close(file)
    return rounds


def main(scene, how, path, *rest):
    scene = Scene(scene)
    if how == "leases":
        lines = dict(word.split("=", 1) for word in rest[1:])
        result = leases(path, int(rest[0]), **lines)
    elif how == "vanish":
        result = vanish(path, int(rest[0]))
    elif how == "foreign":
        result = foreign(path)
    else:
        result = {"mute": mute, "spoof": spoof, "own": own}[how](
            scene, path, *(int(word) if word.isdigit() else word for word in rest))
    scene.tell("result", result)


main(*sys.argv[1:])
