"""What happens to pods on a node. Each scenario begins and ends with full levels and no lease."""

import collections
import random
import signal
import time

from host import wait_for

World = collections.namedtuple("World", "node plugin reservoir arguments")
ALL = ["two_resources", "zeros_again", "too_many", "keeps_apart", "kubelet_restarts",
       "plugin_killed", "random_order"]
SMALL, LARGE = "ready-2m-2mi", "ready-2m-4mi"


def idle(world):
    """Waits until no lease is left and the levels are full."""
    wait_for(lambda: not world.reservoir.leases and world.reservoir.is_full(),
             "no lease is left: %s" % world.reservoir.leases, 60)
    settle()


def settle():
    """Gives the plugin's next round the time to tell the kubelet, which nothing shows. Until then
    the kubelet has too few devices and refuses pods."""
    time.sleep(1)


def end(world, name):
    """Removes a pod, which finds its own bytes at its end."""
    world.node.remove(name)
    world.node.until(name, "kept " + name)


def zeros(lines):
    return [line.split() for line in lines if line.startswith("zeros")]


def two_resources(world):
    """A pod with memory of two resources: zero, its own until its end, and given back."""
    world.node.create("both", {SMALL: 1, LARGE: 1}, ["hold", "both"])
    lines = world.node.until("both", "wrote")
    assert sorted(int(line[2]) for line in zeros(lines)) == [2 << 20, 4 << 20], lines
    assert len(world.reservoir.leases) == 2, world.reservoir.leases
    names = "".join(world.reservoir.leases)
    assert SMALL in names and LARGE in names, names
    end(world, "both")
    idle(world)
    return "; ".join(lines)


def zeros_again(world):
    """All memory is used by pods, and the next pods find zeros."""
    for name in ("eight-0", "eight-1"):
        world.node.create(name, {SMALL: 8}, ["hold", name])
        lines = zeros(world.node.until(name, "wrote"))
        assert len(lines) == 8 and len({line[4] for line in lines}) == 8, lines
        end(world, name)
        idle(world)
    return "8 files, twice"


def too_many(world):
    """A pod that asks for more than there is fails with the kubelet's reason."""
    world.node.create("many", {SMALL: 99}, ["hold", "many"])

    def refused():
        status = world.node.status().get("many", {}).get("status", {})
        return status if status.get("phase") == "Failed" else None
    status = wait_for(refused, "the pod is refused")
    assert not world.reservoir.leases, world.reservoir.leases
    world.node.remove("many")
    idle(world)
    return "%s: %s" % (status["reason"], status["message"])


def keeps_apart(world):
    """Pods, as root and as other users, try to reach the memory of a pod that runs."""
    world.node.create("victim", {SMALL: 1}, ["hold", "victim"])
    world.node.until("victim", "wrote")
    reached = 0
    for turn in ("first", "after restarts"):
        for user in (0, 1000, 64201):
            name = "thief-%d-%s" % (user, turn[:5])
            reached += attempts(world, name, user)
        if turn == "first":
            restart_kubelet(world)
            restart_plugin(world)
    end(world, "victim")
    idle(world)
    return "%d attempts were refused" % reached


def attempts(world, name, user):
    """Runs a pod that tries to reach others' memory; returns the number of its attempts."""
    paths = ["%s/holdfast/leased/64201/%s" % (world.reservoir.mount, lease)
             for lease in world.reservoir.leases]
    paths += [world.reservoir.mount + "/holdfast/ready", world.reservoir.socket,
              "/var/lib/kubelet/device-plugins/kubelet.sock"]
    # Ordinary users even see the reservoir's mount, as if an administrator had given it away.
    volumes = [world.reservoir.mount] if user != 0 else []
    world.node.create(name, {SMALL: 1}, ["reach", name, *paths], user, volumes)
    lines = world.node.until(name, "tried everything")
    assert not any(line.startswith("REACHED") for line in lines), lines
    assert {line.split()[1] for line in lines if line.startswith("sees")} == \
        {"memory-0", SMALL + "-0"}, lines
    assert "processes 1" in lines, lines
    own, other = ({line[4] for line in zeros(world.node.lines(pod))} for pod in (name, "victim"))
    assert own and other and not own & other, (own, other)
    end(world, name)
    return sum(line.startswith("refused") for line in lines)


def restart_kubelet(world, number=signal.SIGTERM):
    registrations = world.plugin.registrations()
    world.node.stop_kubelet(number)
    world.node.start_kubelet()
    wait_for(lambda: world.plugin.registrations() == registrations + 2,
             "the plugin has registered again")
    settle()


def restart_plugin(world):
    registrations = world.plugin.registrations()
    world.plugin.kill()
    world.plugin.start()
    wait_for(lambda: world.plugin.registrations() == registrations + 2, "the plugin has registered")
    settle()


def kubelet_restarts(world):
    """The kubelet ends, and is killed, while a pod runs: the pod keeps its lease."""
    world.node.create("stays", {SMALL: 1, LARGE: 1}, ["hold", "stays"])
    world.node.until("stays", "wrote")
    leases = world.reservoir.leases
    for number in (signal.SIGTERM, signal.SIGKILL):
        restart_kubelet(world, number)
        name = "beside-%d" % number
        world.node.create(name, {SMALL: 2}, ["hold", name])
        world.node.until(name, "wrote")
        end(world, name)
        wait_for(lambda: world.reservoir.leases == leases, "the first pod's leases alone are left", 60)
    end(world, "stays")
    idle(world)
    return "SIGTERM and SIGKILL; its %d leases stayed" % len(leases)


def plugin_killed(world):
    """The plugin is killed while a pod runs, and while pods start and end."""
    world.node.create("stays", {SMALL: 1}, ["hold", "stays"])
    world.node.until("stays", "wrote")
    leases = world.reservoir.leases
    restart_plugin(world)
    assert set(leases) <= set(world.reservoir.leases)
    world.node.create("next", {SMALL: 1}, ["hold", "next"])
    world.node.until("next", "wrote")
    world.plugin.kill()
    end(world, "next")
    world.plugin.start()
    wait_for(lambda: world.reservoir.leases == leases, "the lease of the other pod has ended", 60)
    end(world, "stays")
    idle(world)
    return "its lease stayed; that of a pod that ended meanwhile did not"


def random_order(world):
    """Pods begin and end in random order, with kills of the plugin."""
    running, number, kills = [], 0, 0
    while number < world.arguments.pods or running:
        if number < world.arguments.pods and (len(running) < 3 or random.random() < 0.4):
            name = "pod-%d" % number
            number += 1
            resource = random.choice([SMALL, SMALL, LARGE])
            world.node.create(name, {resource: 1}, ["hold", name])
            world.node.until(name, "wrote")
            running.append(name)
        else:
            end(world, running.pop(random.randrange(len(running))))
        if random.random() < 0.2:
            restart_plugin(world)
            kills += 1
        assert len(world.reservoir.leases) >= len(running)
    idle(world)
    return "%d pods, the plugin was killed %d times" % (number, kills)
