"""What a kubelet does and suffers. Each scenario begins and ends with full levels and no lease."""

import collections
import os
import random
import signal
import statistics
import struct
import threading
import time

import grpc

from host import Memory, as_user, send_bytes, wait_for
from kubelet import Refused
from messages import v1beta1

Node = collections.namedtuple(
    "Node", "reservoir plugin kubelet folder small large arguments")
ALL = ["registers", "serves", "keeps_apart", "refuses", "never_starts", "all_or_none",
       "dies_half_way", "kubelet_restarts", "plugin_killed", "killed_halfway",
       "service_dies", "nonsense", "random_pods", "times"]


def is_idle(node):
    """Whether no lease is left, the levels are full, and the kubelet knows all of them."""
    return (not node.reservoir.leases and node.reservoir.is_full()
            and len(node.kubelet.free(node.small)) == 48
            and len(node.kubelet.free(node.large)) == 4)


def idle(node):
    try:
        wait_for(lambda: is_idle(node), "all memory is ready again", 40)
    except AssertionError as error:
        raise AssertionError("%s; leases %s, %d ready, %d and %d devices" % (
            error, node.reservoir.leases, len(node.reservoir.ready),
            len(node.kubelet.free(node.small)), len(node.kubelet.free(node.large))))


def pod(node, name, resource=None, count=1):
    """A pod that has opened its memory and written its name."""
    answer = node.kubelet.admit(name, resource or node.small, count)
    memory = Memory(node.folder + "/pods", name, answer)
    memory.open()
    memory.write(name.encode())
    return answer, memory


def finish(node, name, memory):
    memory.check(name.encode())
    memory.close()
    node.kubelet.end(name)


def seen(node):
    """Waits until the plugin has seen the reservoir and the pods as they are now."""
    lists = node.kubelet.lists
    wait_for(lambda: node.kubelet.lists > lists + 2, "the plugin has had two more lists")


def registers(node):
    wait_for(lambda: len(node.kubelet.plugins) == 2, "both resources are registered")
    idle(node)
    for name, plugin in node.kubelet.plugins.items():
        assert plugin.options.get_preferred_allocation_available, name
        assert not plugin.options.pre_start_required, name
        for number, id in enumerate(sorted(plugin.devices, key=lambda id: int(id.split("-")[1]))):
            # The large files are bound to node 0.
            assert id == ("n0-%d" if name == node.large else "any-%d") % number, id
            nodes = [entry.ID for entry in plugin.devices[id].topology.nodes]
            assert nodes == ([0] if name == node.large else []), nodes
    return ", ".join(sorted(node.kubelet.plugins))


def serves(node):
    """A pod with two files of one resource, and the names that all of it has."""
    answer, memory = pod(node, "two", node.small, 2)
    page = 2 << 20 if "2m-2mi" in node.small else 4096
    word = node.small.split("/")[1]
    envs = dict(answer.envs)
    for number in range(2):
        assert envs.pop("HOLDFAST_MEMORY_%d" % number) == "/run/holdfast/memory-%d" % number
        assert envs.pop("HOLDFAST_SIZE_%d" % number) == str(2 << 20)
        assert envs.pop("HOLDFAST_PAGE_SIZE_%d" % number) == str(page)
        assert envs.pop("HOLDFAST_NODE_%d" % number) == "-"
        assert envs.pop("HOLDFAST_%s_%d" % (word.upper().replace("-", "_"), number)) == \
            "/run/holdfast/%s-%d" % (word, number)
    assert not envs, envs
    assert len(answer.mounts) == 4 and len({m.host_path for m in answer.mounts}) == 2
    assert len(set(memory.identities())) == 2
    assert len(node.reservoir.leases) == 2
    # Both are devices still, and others are not fewer.
    assert len(node.kubelet.plugins[node.small].devices) >= 48
    big, other = pod(node, "big", node.large)
    assert big.envs["HOLDFAST_NODE_0"] == "0", big.envs
    assert other.size == 4 << 20
    finish(node, "two", memory)
    finish(node, "big", other)
    idle(node)


def keeps_apart(node):
    """A user of a pod opens its own mount, and no other pod's file by its path."""
    answer, memory = pod(node, "a")
    path = answer.mounts[0].host_path
    for user in (65534, 1000):
        try:
            as_user(lambda: os.open(path, os.O_RDONLY), user)
        except PermissionError:
            continue
        raise AssertionError("user %d has opened %s" % (user, path))
    finish(node, "a", memory)
    idle(node)


def refuses(node):
    """A pod has ended for the kubelet while a process has its memory open; the device gets another
    pod meanwhile."""
    first, memory = pod(node, "first")
    _, device = node.kubelet.pods["first"]
    node.kubelet.end("first")
    wait_for(lambda: node.kubelet.plugins[node.small].devices[device[0]].health == "Unhealthy",
             "the device of the open file is unhealthy")
    time.sleep(1.5)
    assert len(node.reservoir.leases) == 1, "a lease was released while its file was open"
    memory.check(b"first")
    # A kubelet that has not yet heard of it.
    answer = node.kubelet.plugins[node.small].allocate(device)
    node.kubelet.pods["second"] = (node.small, device)
    second = Memory(node.folder + "/pods", "second", answer)
    second.open()
    second.write(b"second")
    assert second.identities() != memory.identities(), "one file for two pods"
    memory.check(b"first")
    memory.close()
    wait_for(lambda: len(node.reservoir.leases) == 1, "the first lease is released")
    time.sleep(0.5)
    assert len(node.reservoir.leases) == 1
    finish(node, "second", second)
    idle(node)


def never_starts(node):
    """A pod is admitted, and the kubelet never lists it."""
    node.kubelet.hidden.add("never")
    node.kubelet.admit("never", node.small)
    time.sleep(2)
    assert len(node.reservoir.leases) == 1, "released within the grace time"
    wait_for(lambda: not node.reservoir.leases, "released after the grace time")
    node.kubelet.end("never")
    idle(node)


def all_or_none(node):
    """Other programs lease what the kubelet believes free."""
    node.reservoir.configure(node.reservoir.levels[:1])
    # Stopped, the plugin does not notice it before the request.
    node.plugin.process.send_signal(signal.SIGSTOP)
    for number in range(2):
        node.reservoir.command("lease", "--size", "4M", "--name", "other%d" % number)
    plugin = node.kubelet.plugins[node.large]
    goes_on = threading.Timer(0.2, node.plugin.process.send_signal, [signal.SIGCONT])
    goes_on.start()
    start = time.monotonic()
    try:
        plugin.allocate(["n0-%d" % number for number in range(4)])
        raise AssertionError("four files were leased, of two")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    assert time.monotonic() - start >= 2, "it does not wait for memory"
    assert not node.reservoir.leases, "files stay leased after a failure"
    wait_for(lambda: len(node.kubelet.free(node.large)) == 2, "the kubelet hears of it")
    for number in range(2):
        node.reservoir.command("release", "other%d" % number)
    node.reservoir.configure(node.reservoir.levels)
    idle(node)


def dies_half_way(node):
    """The kubelet ends between its request and the answer."""
    plugin = node.kubelet.plugins[node.small]
    request = v1beta1.AllocateRequest(container_requests=[
        {"devices_ids": node.kubelet.free(node.small)[:3]}]).SerializeToString()
    for delay in (0, 0.0005, 0.002):
        channel = grpc.insecure_channel(
            "unix:%s/holdfast-%s.sock" % (node.kubelet.folder, plugin.name.split("/")[1]),
            options=[("grpc.use_local_subchannel_pool", 1)])
        grpc.channel_ready_future(channel).result(5)
        channel.unary_unary("/v1beta1.DevicePlugin/Allocate").future(request)
        time.sleep(delay)
        channel.close()
    idle(node)


def kubelet_restarts(node):
    """The kubelet starts again under running pods, and knows none of them for a while."""
    _, memory = pod(node, "open")
    closed = node.kubelet.admit("closed", node.small)
    seen(node)
    for attempt in range(2):
        node.kubelet.stop()
        time.sleep(0.5)
        node.kubelet.hidden |= {"open", "closed"}
        node.kubelet.start()
        wait_for(lambda: len(node.kubelet.plugins) == 2, "registered again")
        time.sleep(1)
        assert len(node.reservoir.leases) == 2, "a running pod's lease was released"
        node.kubelet.hidden.clear()
        seen(node)
    # The sockets of the plugin alone are gone.
    registrations = node.kubelet.registrations
    for name in os.listdir(node.kubelet.folder):
        if name.startswith("holdfast-"):
            os.unlink(node.kubelet.folder + "/" + name)
    wait_for(lambda: node.kubelet.registrations >= registrations + 2, "registered once more")
    later = Memory(node.folder + "/pods", "closed", closed)
    later.open()
    later.close()
    node.kubelet.end("closed")
    finish(node, "open", memory)
    idle(node)


def plugin_killed(node):
    """The plugin is killed under running pods, and starts again."""
    _, memory = pod(node, "running")
    before = node.reservoir.leases
    node.plugin.kill()
    plugin = node.kubelet.plugins[node.small]
    wait_for(lambda: plugin.ended, "the kubelet notices it")
    node.plugin.start()
    wait_for(lambda: node.kubelet.plugins[node.small] is not plugin, "registered again")
    wait_for(lambda: len(node.kubelet.free(node.small)) == 48, "the other devices are there")
    assert node.reservoir.leases == before
    _, device = node.kubelet.pods["running"]
    assert node.kubelet.plugins[node.small].devices[device[0]].health == "Healthy"
    # Its end, while the plugin is dead.
    node.plugin.kill()
    finish(node, "running", memory)
    node.plugin.start()
    idle(node)


def killed_halfway(node):
    """The plugin is killed while it allocates: a pod then runs, or a lease without a pod ends."""
    chance = random.Random(node.arguments.seed)
    running, orphans = {}, 0
    for number in range(20):
        wait_for(lambda: len(node.kubelet.free(node.small)) >= 3, "registered again")
        plugin = node.kubelet.plugins[node.small]
        ids = node.kubelet.free(node.small)[:3]
        timer = threading.Timer(chance.uniform(0, 0.006), node.plugin.kill)
        timer.start()
        try:
            answer = plugin.allocate(ids)
        except grpc.RpcError:
            answer = None
        timer.join()
        if answer:
            name = "k%d" % number
            node.kubelet.pods[name] = (node.small, ids)
            memory = Memory(node.folder + "/pods", name, answer)
            memory.open()
            memory.write(name.encode())
            running[name] = memory
        orphans = max(orphans, len(node.reservoir.leases) - 3 * len(running))
        others = [id for memory in running.values() for id in memory.identities()]
        assert len(set(others)) == len(others), "one file for two pods"
        wait_for(lambda: plugin.ended, "the kubelet notices the end")
        node.plugin.start()
        wait_for(lambda: node.kubelet.plugins[node.small] is not plugin, "registered again")
    for name, memory in running.items():
        finish(node, name, memory)
    idle(node)
    return "%d of 20 pods admitted, up to %d leases without a pod" % (len(running), orphans)


def service_dies(node):
    """Without the service the free devices are unhealthy, and pods go on."""
    _, memory = pod(node, "running")
    seen(node)
    node.reservoir.kill()
    wait_for(lambda: not node.kubelet.free(node.small), "no device is healthy")
    devices = node.kubelet.plugins[node.small].devices
    _, own = node.kubelet.pods["running"]
    assert {id for id, device in devices.items() if device.health == "Healthy"} == set(own)
    try:
        node.kubelet.plugins[node.small].allocate([next(id for id in devices if id not in own)])
        raise AssertionError("memory was leased without a service")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    node.reservoir.start()
    wait_for(lambda: node.kubelet.free(node.small), "the devices are healthy again", 40)
    finish(node, "running", memory)
    idle(node)


def nonsense(node):
    """Whatever comes over the sockets, the plugin neither ends nor leases."""
    chance = random.Random(node.arguments.seed)
    path = "%s/holdfast-%s.sock" % (node.kubelet.folder, node.small.split("/")[1])
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def frame(kind, flags, stream, body, length=None):
        return struct.pack(">I", len(body) if length is None else length)[1:] + bytes(
            [kind, flags]) + struct.pack(">I", stream) + body

    settings = frame(4, 0, 0, b"")
    hostile = [
        b"", b"GET / HTTP/1.1\r\n\r\n", preface, preface + b"\0" * 64,
        preface + frame(0, 0, 0, b"", 0xffffff), preface + settings + frame(1, 5, 1, b"\xff" * 40),
        preface + settings + frame(1, 4, 2, b"\x82"),
        preface + settings + frame(0, 1, 1, b"\0" * 5),
        preface + settings + frame(8, 0, 0, struct.pack(">I", 0)),
        preface + settings + frame(6, 0, 0, b"12345678") * 1000,
        preface + settings + frame(1, 0, 1, b"\x82") + frame(9, 0, 1, b"\x82" * 100) * 200,
        # Streams that are opened and reset at once.
        preface + settings + b"".join(
            frame(1, 5, n, b"\x83\x86\x84") + frame(3, 0, n, b"\0\0\0\x08")
            for n in range(1, 2000, 2)),
    ] + [preface + settings + chance.randbytes(chance.randrange(400)) for _ in range(40)]
    for data in hostile:
        send_bytes(path, data, answer=len(data) > 60)
    # Within gRPC.
    plugin = node.kubelet.plugins[node.small]
    codes = collections.Counter()

    def call(method, data):
        try:
            plugin.channel.unary_unary(method)(data, timeout=5)
            codes["OK"] += 1
        except grpc.RpcError as error:
            codes[error.code().name] += 1
            return error.code().name
        return "OK"

    base = "/v1beta1.DevicePlugin/"
    before = len(node.reservoir.leases)
    assert call(base + "Nothing", b"") == "UNIMPLEMENTED"
    assert call(base + "Allocate", b"\xff" * 20) == "INVALID_ARGUMENT"
    assert call(base + "Allocate", bytes(5 << 20)) == "RESOURCE_EXHAUSTED"
    for ids in (["n0-0"], ["any-999999"], ["any-00"], ["any-0", "any-0"], [""], ["../../x"],
                ["any-%d" % n for n in range(1000)]):
        request = v1beta1.AllocateRequest(container_requests=[{"devices_ids": ids}])
        assert call(base + "Allocate", request.SerializeToString()) == "INVALID_ARGUMENT", ids
    huge = v1beta1.PreferredAllocationRequest(container_requests=[
        {"available_deviceIDs": ["any-1", "x", ""], "must_include_deviceIDs": ["y"],
         "allocation_size": size} for size in (-1, 0, 2**31 - 1)])
    assert call(base + "GetPreferredAllocation", huge.SerializeToString()) == "OK"
    assert call(base + "PreStartContainer", b"") == "OK"
    good = v1beta1.AllocateRequest(
        container_requests=[{"devices_ids": ["no-1"]}] * 3).SerializeToString()
    for method in ("GetDevicePluginOptions", "GetPreferredAllocation", "Allocate",
                   "PreStartContainer"):
        for _ in range(150):
            data = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            call(base + method, bytes(data[:chance.randrange(len(data) + 1)]))
    assert len(node.reservoir.leases) == before, "nonsense has leased memory"
    # A kubelet whose list is nonsense ends no lease, and one that refuses is asked again.
    # No process has the file open, so that the list alone keeps the lease.
    answer = node.kubelet.admit("listed", node.small)
    seen(node)
    for text in (b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f", chance.randbytes(300)):
        node.kubelet.nonsense = text
        lists = node.kubelet.lists
        wait_for(lambda: node.kubelet.lists > lists + 3, "it asks again")
    assert len(node.reservoir.leases) == 1
    node.kubelet.nonsense = None
    node.kubelet.refusal = "not today"
    node.kubelet.stop()
    node.kubelet.start()
    time.sleep(1)
    assert not node.kubelet.plugins
    node.kubelet.refusal = None
    wait_for(lambda: len(node.kubelet.plugins) == 2, "registered after refusals")
    assert len(node.reservoir.leases) == 1
    memory = Memory(node.folder + "/pods", "listed", answer)
    memory.open()
    memory.write(b"listed")
    finish(node, "listed", memory)
    idle(node)
    return ", ".join("%d %s" % (n, code) for code, n in sorted(codes.items()))


def random_pods(node):
    """Pods come and end in any order, while the plugin is killed at random moments."""
    chance = random.Random(node.arguments.seed)
    running = {}
    counts = collections.Counter()
    stop = threading.Event()

    def killer():
        while not stop.wait(chance.uniform(0.05, 1.2)):
            node.plugin.kill()
            counts["kills"] += 1
            time.sleep(chance.uniform(0, 0.1))
            node.plugin.start()

    thread = threading.Thread(target=killer)
    thread.start()
    started = 0
    try:
        while started < node.arguments.pods or running:
            if started < node.arguments.pods and (len(running) < 3 or chance.random() < 0.55):
                name = "pod%d" % started
                large = chance.random() < 0.2
                try:
                    answer = node.kubelet.admit(
                        name, node.large if large else node.small,
                        1 if large else chance.randrange(1, 4), timeout=3)
                except (Refused, grpc.RpcError, KeyError) as error:
                    counts["refusals"] += 1
                    time.sleep(0.05)
                    continue
                started += 1
                memory = Memory(node.folder + "/pods", name, answer)
                memory.open()
                memory.write(name.encode())
                others = [id for _, m in running.values() for id in m.identities()]
                assert not set(memory.identities()) & set(others), "one file for two pods"
                running[name] = (answer, memory)
            else:
                name = chance.choice(sorted(running))
                _, memory = running.pop(name)
                finish(node, name, memory)
                counts["files"] += 1
            for name in running:
                running[name][1].check(name.encode())
            time.sleep(chance.uniform(0, 0.1))
    finally:
        stop.set()
        thread.join()
    idle(node)
    return "%d pods, %d kills of the plugin, %d pods refused meanwhile" % (
        started, counts["kills"], counts["refusals"])


def times(node):
    """The time from a request to allocate until its answer."""
    plugin = node.kubelet.plugins[node.small]
    seconds, number = [], 0
    while len(seconds) < node.arguments.calls:
        wait_for(lambda: len(node.kubelet.free(node.small)) > 0, "a device is free")
        names = []
        for id in node.kubelet.free(node.small)[:node.arguments.calls - len(seconds)]:
            start = time.perf_counter()
            try:
                plugin.allocate([id])
            except grpc.RpcError:
                break
            seconds.append(time.perf_counter() - start)
            name = "t%d" % number
            number += 1
            names.append(name)
            with node.kubelet.lock:
                node.kubelet.pods[name] = (node.small, [id])
        seen(node)
        for name in names:
            node.kubelet.end(name)
    idle(node)
    cuts = statistics.quantiles(seconds, n=100)
    memory = node.plugin.resident()
    return "%d allocations: median %.2f ms, 99 %% within %.2f ms; plugin: %.1f MB resident, " \
        "%.1f MB of its own" % (len(seconds), statistics.median(seconds) * 1e3, cuts[98] * 1e3,
                                memory["VmRSS"] / 1e6, memory["RssAnon"] / 1e6)
