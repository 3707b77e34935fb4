"""What pods do to their leases. Each scenario begins and ends with full levels and no lease."""

import os
import time

import accounting
from host import Memory, as_user, wait_for
from scenarios import idle, pod, seen

ALL = ["resizes", "init_container"]


def resizes(node):
    """A pod gives its file other sizes: no resource has them, and no sum."""
    _, memory = pod(node, "sizes")
    resources, registrations = set(node.kubelet.plugins), node.kubelet.registrations
    page = str(2 << 20 if node.reservoir.huge else 4096)
    wait_for(lambda: node.reservoir.is_full() and accounting.value(
        node, "held_bytes", page_bytes=page) == 114 << 20, "the lease counts")
    for size in (1 << 50, 0, 6 << 20, 3 << 40):
        as_user(lambda: os.ftruncate(memory.files[0], size))
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            seen(node)
            assert node.plugin.check_accounting()[0] == 0, size
        assert accounting.value(node, "held_bytes", page_bytes=page) == 114 << 20, size
        assert len(node.kubelet.plugins[node.small].devices) == 49, size
    assert set(node.kubelet.plugins) == resources, set(node.kubelet.plugins) - resources
    assert node.kubelet.registrations == registrations
    sockets = [name for name in os.listdir(node.kubelet.folder) if name.startswith("holdfast-")]
    assert len(sockets) == len(resources), sockets
    memory.close()
    node.kubelet.end("sizes")
    idle(node)
    assert set(node.kubelet.plugins) == resources


def init_container(node):
    """An init container and another container of a pod have the same device: the kubelet asks for
    both before the first one starts."""
    first = node.kubelet.admit("both", node.small)
    _, device = node.kubelet.pods["both"]
    second = node.kubelet.plugins[node.small].allocate(device)
    # No process has their files open. The kubelet lists the device.
    time.sleep(2)
    assert len(node.reservoir.leases) == 2, node.reservoir.leases
    memories = []
    for number, answer in enumerate((first, second)):
        memories.append(Memory(node.folder + "/pods", "both%d" % number, answer))
        memories[-1].open()
        memories[-1].write(b"both%d" % number)
    assert memories[0].identities() != memories[1].identities()
    memories[0].check(b"both0")
    memories[0].close()
    memories[1].check(b"both1")
    memories[1].close()
    node.kubelet.end("both")
    idle(node)
