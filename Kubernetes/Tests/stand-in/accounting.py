"""The kubelet's accounting against the reservoir's, metrics, and services that hang. Each scenario
begins and ends with full levels and no lease."""

import os
import signal
import socket
import subprocess
import time

import grpc
from prometheus_client.parser import text_string_to_metric_families

from host import Memory, Reservoir, free_port, wait_for
from scenarios import finish, idle, pod, seen

ALL = ["arguments", "metrics", "hostile_clients", "limits", "devices", "service_hangs",
       "kubelet_hangs", "many"]
MEBIBYTE = 1 << 20
OWN = "holdfast_kubernetes_"


def scrape(node):
    """The metrics: each name with labels and its value."""
    status, text = node.plugin.get("/metrics")
    assert status == 200, (status, text)
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(set(names)) == len(names), "a family is there twice: %s" % names
    samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type != "unknown", family
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in samples, "a sample is there twice: %s" % (key,)
            samples[key] = sample.value
    return samples


def value(node, name, **labels):
    return scrape(node).get((OWN + name, *sorted(labels.items())))


def agree(node):
    wait_for(lambda: node.plugin.check_accounting() == (0, "the accounting agrees\n"),
             "the accounting agrees")


def differ(node, *texts):
    """Waits until the probe fails with a line that has all texts, and returns that line."""
    def line():
        status, text = node.plugin.check_accounting()
        return status == 1 and all(part in text for part in texts) and text
    text = wait_for(line, "the probe says %s" % (texts,))
    assert text.count("\n") == 1 and text.isprintable() is False and len(text) < 1000, text
    assert value(node, "accounting_agrees") == 0
    return text.strip()


def registered(node, count=2):
    wait_for(lambda: len(node.kubelet.plugins) >= count
             and not any(plugin.ended for plugin in node.kubelet.plugins.values()), "registered")


def arguments(node):
    """Options that are wrong end the plugin before it does anything, with a line."""
    wrong = {
        ("--limit", "2M"): "use a page size and bytes", ("--limit", "3M=1"): "use a page size",
        ("--limit", "2M=-1"): "use a page size", ("--limit", "2M=99999999999Gi"): "use a page size",
        ("--limit", "2M=1", "--limit", "2048K=1"): "has a limit already",
        ("--metrics", "9817"): "not an address and a port", ("--metrics", "x:1"): "not an address",
        ("--service-metrics", "10.0.0.1:9816"): "only on loopback",
        ("--service-metrics", "127.0.0.1:1", "--service-metrics", "[::1]:1"): "than sockets",
        ("--settle", "-1"): "not a number", ("--check-accounting",): "has one value",
        ("--check-accounting", "127.0.0.1"): "not an address and a port",
        ("--check-accounting", "127.0.0.1:1", "--user", "1:1"): "has one value",
    }
    for options, text in wrong.items():
        user = () if options[0] == "--check-accounting" else ("--user", "1:1")
        result = subprocess.run(
            [node.plugin.program, *options, *user], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=10)
        assert result.returncode == 2 and text in result.stdout, (options, result)
    # The port is another's.
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = subprocess.run(
            [node.plugin.program, "--user", "1:1", "--folder", node.folder + "/pods",
             "--metrics", "127.0.0.1:%d" % other.getsockname()[1]],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
        assert result.returncode == 1 and "error:" in result.stdout, result
    result = subprocess.run(
        [node.plugin.program, "--check-accounting", "127.0.0.1:%d" % free_port()],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
    assert result.returncode == 1 and "cannot be asked: no process listens" in result.stdout, result
    return "%d wrong options" % len(wrong)


def metrics(node):
    """Prometheus's own parser reads what the plugin says, and it is so."""
    registered(node)
    agree(node)
    assert node.plugin.get("/healthz") == (200, "ok\n")
    assert node.plugin.get("/accounting") == (200, "the accounting agrees\n")
    before = scrape(node)
    _, memory = pod(node, "measured", node.small, 2)
    seen(node)
    wait_for(node.reservoir.is_full, "the level is full again")
    wait_for(lambda: value(node, "held_bytes", page_bytes=page(node)) == 116 * MEBIBYTE
             and value(node, "devices", resource=node.small) == 50, "the leased files count")
    now = scrape(node)

    def one(name, **labels):
        return now[(OWN + name, *sorted(labels.items()))]

    for resource, devices, leased in ((node.small, 50, 2), (node.large, 4, 0)):
        assert one("devices", resource=resource) == devices
        assert one("healthy_devices", resource=resource) == devices
        assert one("leased_devices", resource=resource) == leased
        assert one("devices_in_use", resource=resource) == leased
        assert one("registered", resource=resource) == 1
    key = (OWN + "allocations_total", ("resource", node.small), ("result", "ok"))
    assert now[key] == before[key] + 1, (now[key], before[key])
    assert one("limit_bytes", page_bytes=page(node)) == node.plugin.limit
    assert one("levels_bytes", page_bytes=page(node)) == 112 * MEBIBYTE
    assert one("difference_bytes", page_bytes=page(node)) == node.plugin.limit - 116 * MEBIBYTE
    assert one("devices_without_lease") == one("leases_without_pod") == 0
    assert one("accounting_agrees") == 1
    assert 0 <= one("kubelet_answer_age_seconds") < 5
    assert 0 <= one("service_answer_age_seconds", socket=node.reservoir.socket) < 5
    # The service's own metrics.
    assert one("service_metrics_up", socket=node.reservoir.socket) == 1
    assert now[("holdfast_reservoir_level_files", ("node", "any"),
                ("size_bytes", str(2 * MEBIBYTE)))] == 48
    own = [key for key in now if key[0].startswith("holdfast_reservoir_")]
    # The alerts name what there is.
    with open(node.folder + "/metrics", "w") as file:
        file.write(node.plugin.get("/metrics")[1])
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
    alerts = subprocess.run(
        [root + "/Scripts/check-monitoring", node.folder + "/metrics",
         root + "/Kubernetes/deploy/monitoring/rules.yaml"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert alerts.returncode == 0, alerts.stdout
    # Another user's lease counts as held: the service's metrics alone know it.
    node.reservoir.command("lease", "--size", "4M", "--name", "other")
    wait_for(lambda: value(node, "held_bytes", page_bytes=page(node)) == 120 * MEBIBYTE,
             "the lease of another user counts")
    node.reservoir.command("release", "other")
    finish(node, "measured", memory)
    # Without the service its metrics are left out.
    node.reservoir.kill()
    wait_for(lambda: value(node, "service_metrics_up", socket=node.reservoir.socket) == 0,
             "the service is missed")
    assert not any(key[0].startswith("holdfast_reservoir_") for key in scrape(node))
    assert value(node, "levels_bytes", page_bytes=page(node)) is None
    differ(node, "the service at %s does not answer" % node.reservoir.socket)
    assert value(node, "service_answer_age_seconds", socket=node.reservoir.socket) >= 1
    assert value(node, "healthy_devices", resource=node.large) == 0
    # A process that says other things in the service's place.
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", node.reservoir.metrics))
        listener.listen()
        listener.settimeout(5)
        for text in (b"", b"\xff\xfe", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nx 1\n",
                     b"HTTP/1.1 200 OK\r\n\r\n# TYPE holdfast_reservoir_up gauge\n"
                     b"holdfast_reservoir_up 1\n" + OWN.encode() + b"devices 7\n",
                     b"HTTP/1.1 200 OK\r\n\r\n" + b"#\n" * (1 << 20)):
            client, _ = listener.accept()
            with client:
                try:
                    client.sendall(text)
                except ConnectionError:
                    pass
            assert not any(key[0].startswith("holdfast_reservoir_") for key in scrape(node)), text
    node.reservoir.start()
    idle(node)
    agree(node)
    return "%d samples of the plugin, %d of the service; %s" % (
        len(now) - len(own), len(own), alerts.stdout.strip())


def page(node):
    return str(2 * MEBIBYTE if node.reservoir.huge else 4096)


def hostile_clients(node):
    """Clients of the metrics that send too much, too slowly or nonsense keep no other out."""
    plugin = node.plugin
    files = len(os.listdir("/proc/%d/fd" % plugin.process.pid))
    assert plugin.get("/nothing")[0] == 404
    assert plugin.get("/metrics?x=1")[0] == 200
    for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS"):
        answer = plugin.request(method + b" /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 405 "), answer
    head = plugin.request(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and head.endswith(b"\r\n\r\n"), head
    # Two requests at once have one answer.
    two = plugin.request(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    assert two.count(b"HTTP/1.1") == 1, two
    for text in (b"\0" * 100, b"\xff" * 5000, b"GET / HTTP/9.9\r\n\r\n",
                 b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
                 b"GET /healthz HTTP/1.1\r\n" + (b"A: " + b"b" * 1000 + b"\r\n") * 20 + b"\r\n",
                 b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000,
                 b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n"):
        answer = plugin.request(text)
        assert not answer.startswith(b"HTTP/1.1 200"), (text[:40], answer)
    # Connections without a request, of which the oldest ones end.
    waiting = [socket.create_connection(("127.0.0.1", plugin.metrics)) for _ in range(200)]
    start = time.monotonic()
    assert plugin.get("/healthz")[0] == 200
    assert time.monotonic() - start < 2
    opened = len(os.listdir("/proc/%d/fd" % plugin.process.pid)) - files
    assert opened <= 20, "%d connections are open" % opened
    # The last one ends too, although it goes on sending.
    last = waiting[-1]
    start = time.monotonic()
    try:
        last.sendall(b"GET / HTTP/1.1\r\n")
        while time.monotonic() - start < 20:
            last.sendall(b"A: b\r\n")
            time.sleep(0.2)
        raise AssertionError("a slow client has no end")
    except ConnectionError:
        pass
    assert time.monotonic() - start < 8
    for client in waiting:
        client.close()
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % plugin.process.pid)) <= files + 1,
             "all connections have ended")
    idle(node)
    return "200 idle connections, at most %d open" % opened


def limits(node):
    """The limit of the DaemonSet against what the reservoir holds and its levels want."""
    registered(node)
    agree(node)
    node.plugin.restart(limit=100 * MEBIBYTE)
    differ(node, "holds 112 MiB, 12 MiB more than the limit of 100 MiB",
           "levels want 112 MiB, 12 MiB more than the limit of 100 MiB")
    assert value(node, "difference_bytes", page_bytes=page(node)) == -12 * MEBIBYTE
    # As much as there is.
    node.plugin.restart(limit=112 * MEBIBYTE)
    lasts(node)
    assert value(node, "difference_bytes", page_bytes=page(node)) == 0
    # A pod's file is made anew: 2 MiB more.
    _, memory = pod(node, "more")
    differ(node, "holds 114 MiB, 2 MiB more than the limit of 112 MiB")
    finish(node, "more", memory)
    agree(node)
    # More than there is: the levels cannot be reached.
    node.plugin.restart()
    node.reservoir.configure(node.reservoir.levels + [(2, "8M", "node = 900\n")])
    text = differ(node, "holds 112 MiB of the 128 MiB that its levels want, 912 MiB less than the "
                  "limit of 1 GiB")
    lines = len(node.plugin.lines("the accounting differs"))
    time.sleep(1)
    assert len(node.plugin.lines("the accounting differs")) == lines, "a line repeats itself"
    node.reservoir.configure(node.reservoir.levels)
    agree(node)
    assert node.plugin.lines("the accounting agrees again")
    # A limit of another page size.
    name, node.plugin.page = node.plugin.page, "1G"
    node.plugin.restart()
    if node.reservoir.huge:
        differ(node, "112 MiB more than the limit of 0 bytes")
    else:
        lasts(node)
    node.plugin.page = name
    node.plugin.restart()
    registered(node)
    idle(node)
    return "'%s'" % text


def lasts(node):
    """The accounting agrees, for longer than a difference takes to count."""
    agree(node)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert node.plugin.check_accounting() == (0, "the accounting agrees\n")
        time.sleep(0.1)


def devices(node):
    """The kubelet's devices in use against the reservoir's leases."""
    registered(node)
    lasts(node)
    # A pod whose lease is gone: the plugin's user has released it.
    node.kubelet.pods["ghost"] = (node.small, ["any-3"])
    node.kubelet.pods["stranger"] = ("other.example/thing", ["any-3"])
    differ(node, "a pod has a device without a lease: %s any-3" % node.small)
    assert value(node, "devices_without_lease") == 1
    node.kubelet.pods["ghosts"] = (node.large, ["n0-%d" % n for n in range(4)])
    differ(node, "5 devices of pods have no lease", "and others")
    for name in ("ghost", "ghosts", "stranger"):
        node.kubelet.end(name)
    agree(node)
    # A pod that has ended, with a process that has its file open.
    _, memory = pod(node, "open")
    seen(node)
    node.kubelet.end("open")
    line = differ(node, "a lease has no pod, and its file is in use: kube_")
    assert value(node, "leases_without_pod") == 1
    memory.close()
    agree(node)
    idle(node)
    # Pods that come and go are no difference.
    lines = len(node.plugin.lines("the accounting differs"))
    for number in range(20):
        _, memory = pod(node, "p%d" % number)
        time.sleep(0.1)
        finish(node, "p%d" % number, memory)
    idle(node)
    assert len(node.plugin.lines("the accounting differs")) == lines
    # A kubelet that does not answer.
    node.kubelet.stop()
    differ(node, "the kubelet at", "does not answer")
    node.kubelet.start()
    registered(node)
    agree(node)
    return "'%s'" % line


def service_hangs(node):
    """A service that is stopped (SIGSTOP): its devices are unhealthy, and another one's go on."""
    second = Reservoir(
        node.reservoir.program, node.folder + "/second", [(4, "6M", "")], huge=False)
    second.start()
    wait_for(second.is_full, "the second reservoir is full")
    node.plugin.restart(reservoirs=[second])
    other = "holdfast.dev/ready-4k-6mi"
    registered(node, 3)
    wait_for(lambda: len(node.kubelet.free(other)) == 4, "the second reservoir's devices")
    _, memory = pod(node, "running")
    seen(node)
    # The metrics of both services, apart by a label.
    paths = {dict(key[1:])["reservoir"] for key in scrape(node)
             if key[0] == "holdfast_reservoir_up"}
    assert paths == {one.mount + "/holdfast" for one in (node.reservoir, second)}, paths
    _, own = node.kubelet.pods["running"]
    free = node.kubelet.free(node.small)
    node.reservoir.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    wait_for(lambda: not node.kubelet.free(node.small) and not node.kubelet.free(node.large),
             "the devices are unhealthy", 10)
    seconds = time.monotonic() - stopped
    assert seconds < 5, seconds
    devices = node.kubelet.plugins[node.small].devices
    assert {id for id, device in devices.items() if device.health == "Healthy"} == set(own)
    assert len(node.kubelet.free(other)) == 4, "the other reservoir's devices are healthy"
    # The other one's pods come and go meanwhile.
    slowest = 0
    for number in range(2):
        start = time.monotonic()
        answer = node.kubelet.admit("other%d" % number, other)
        slowest = max(slowest, time.monotonic() - start)
        pods = Memory(node.folder + "/pods", "other%d" % number, answer)
        pods.open()
        pods.close()
        lists = node.kubelet.lists
        wait_for(lambda: node.kubelet.lists > lists + 2, "the pod is seen", 30)
        node.kubelet.end("other%d" % number)
        wait_for(lambda: not second.leases, "the lease of the other reservoir ends", 30)
    assert slowest < 1, slowest
    # An allocation ends too. A lease that the service makes later has no pod.
    start = time.monotonic()
    try:
        node.kubelet.plugins[node.small].allocate([free[0]], timeout=20)
        raise AssertionError("a service that is stopped has leased")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    assert time.monotonic() - start < 10
    differ(node, "the service at %s does not answer" % node.reservoir.socket)
    assert node.plugin.get("/healthz")[0] == 200
    node.reservoir.process.send_signal(signal.SIGCONT)
    wait_for(lambda: node.kubelet.free(node.small), "the devices are healthy again", 10)
    finish(node, "running", memory)
    wait_for(lambda: len(node.reservoir.leases) == 0, "no lease is left", 30)
    node.plugin.restart()
    node.kubelet.plugins.pop(other).close()
    second.kill()
    registered(node)
    idle(node)
    agree(node)
    return "unhealthy after %.1f s" % seconds


def kubelet_hangs(node):
    """A kubelet that answers no registration delays a round once, not once for each resource."""
    node.kubelet.stop()
    node.kubelet.delay = 6
    node.kubelet.asked = []
    node.kubelet.start()
    wait_for(lambda: len(node.kubelet.asked) >= 2, "the plugin asks again")
    # The first resource again, in the next round.
    assert len(set(node.kubelet.asked[:2])) == 1, node.kubelet.asked
    node.kubelet.delay = 0
    registered(node)
    idle(node)
    agree(node)


def many(node):
    """More devices than a status had leases once."""
    count = 400
    many = Reservoir(
        node.reservoir.program, node.folder + "/many", [(count, "64K", "")], huge=False)
    many.start()
    wait_for(many.is_full, "%d files are ready" % count, 60)
    node.plugin.restart(reservoirs=[many])
    resource = "holdfast.dev/ready-4k-64ki"
    wait_for(lambda: resource in node.kubelet.plugins, "registered")
    wait_for(lambda: len(node.kubelet.free(resource)) == count, "all devices are there")
    many.configure([(1, "128K", "")])  # What is leased is not made anew.
    wait_for(lambda: "was read again" in open(many.log.name).read(), "the service has no levels")
    total = 0
    while len(node.kubelet.free(resource)) > 0:
        size = min(64, len(node.kubelet.free(resource)))
        node.kubelet.admit("many%d" % total, resource, size, timeout=30)
        total += size
    assert total == count and len(many.leases) == count, (total, len(many.leases))
    wait_for(lambda: value(node, "leased_devices", resource=resource) == count, "all are leased")
    devices = node.kubelet.plugins[resource].devices
    assert len(devices) == count and all(d.health == "Healthy" for d in devices.values())
    lasts(node)
    for name in [name for name in node.kubelet.pods if name.startswith("many")]:
        node.kubelet.end(name)
    wait_for(lambda: not many.leases, "all leases end", 60)
    node.plugin.restart()
    for name in [name for name in node.kubelet.plugins if name not in (node.small, node.large)]:
        node.kubelet.plugins.pop(name).close()
    many.kill()
    registered(node)
    idle(node)
    return "%d devices" % count
