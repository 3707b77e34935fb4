"""The DaemonSet of ../../deploy as a static pod, in images of the static programs."""

import os
import pathlib
import re
import signal
import subprocess

import yaml

from host import wait_for
from node import mount

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
SOCKETS = "/run/holdfast-pods"
LEASED = "/dev/hugepages/holdfast/leased/64110"
READY = "/dev/hugepages/holdfast/ready"


def template(world, images, folder):
    """The pod of the DaemonSet, with what a node without an API server has instead."""
    daemonset = yaml.safe_load((DEPLOY / "daemonset.yaml").read_text())
    pod = {"apiVersion": "v1", "kind": "Pod",
           "metadata": {"name": "holdfast", "namespace": "default"},
           "spec": daemonset["spec"]["template"]["spec"]}
    spec = pod["spec"]
    spec["hostNetwork"] = True  # There is no network plugin.
    for container in spec["initContainers"] + spec["containers"]:
        container["image"] = images[container["image"]]
        container["imagePullPolicy"] = "Never"
        limits = container.get("resources", {}).get("limits", {})
        if "hugepages-2Mi" in limits:
            limits["hugepages-2Mi"] = "64Mi"
        for variable in container.get("env", []):
            # Older kubelets do not know huge pages in the downward API.
            if variable["name"] == "HUGE_PAGES" and world.node.minor < 22:
                del variable["valueFrom"]
                variable["value"] = str(64 << 20)
    for volume in spec["volumes"]:
        if "configMap" in volume:
            del volume["configMap"]
            volume["hostPath"] = {"path": folder}
    return pod


def configure(folder, files):
    text = (DEPLOY / "reservoir.conf").read_text()
    with open(folder + "/reservoir.conf", "w") as file:
        file.write(re.sub("files = .*x.*", "files = %dx2M" % files, text))


def load(archive, name):
    """Imports an image, and returns its name."""
    subprocess.run(
        ["ctr", "--namespace", "k8s.io", "images", "import", "--snapshotter", "native",
         "--base-name", name, archive], check=True, stdout=subprocess.DEVNULL)
    names = subprocess.run(["ctr", "--namespace", "k8s.io", "images", "list", "--quiet"],
                           check=True, capture_output=True, text=True).stdout.split()
    return next(image for image in names if image.startswith(name + ":"))


def container(world, name):
    """What the kubelet says of a container of the pod."""
    status = (world.node.status() or {}).get("holdfast", {}).get("status", {})
    return next((entry for entry in status.get("containerStatuses", [])
                 if entry["name"] == name), {})


def processes(word):
    """The processes whose program has that name."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink("/proc/%s/exe" % name).endswith(word):
                found.append(int(name))
        except OSError:
            pass
    return found


def deployed(world):
    """The DaemonSet's pod starts by its own image, rights and probes; pods get memory from it; its
    plugin is killed; and its readiness probe fails when the reservoir holds more than the limit."""
    world.plugin.kill()
    folder = world.node.folder + "/configuration"
    os.mkdir(folder)
    for path, kind in ((SOCKETS, "tmpfs"), ("/dev/hugepages", "hugetlbfs")):
        os.makedirs(path, exist_ok=True)
        mount("none", path, kind)
    archives = world.arguments.images
    images = {name: load(archive, name) for name, archive in zip(
        ("registry.example/holdfast", "registry.example/holdfast-kubernetes"), archives)}
    configure(folder, 4)
    world.node.write("holdfast", template(world, images, folder))
    wait_for(lambda: container(world, "plugin").get("ready"), "the plugin is ready: %s" % (
        world.node.status() or {}).get("holdfast", {}).get("status"), 90)
    world.node.create("user", {"ready-2m-2mi": 1}, ["hold", "user"])
    world.node.until("user", "wrote")
    leases = os.listdir(LEASED)
    assert len(leases) == 1, leases
    # The plugin is killed: it starts again, and the lease stays.
    for process in processes("holdfast-kubernetes"):
        os.kill(process, signal.SIGKILL)
    wait_for(lambda: container(world, "plugin").get("restartCount", 0) >= 1
             and container(world, "plugin").get("ready"), "the plugin is ready again", 90)
    assert os.listdir(LEASED) == leases
    world.node.remove("user")
    world.node.until("user", "kept user")
    wait_for(lambda: not os.listdir(LEASED), "the lease has ended", 120)
    # More than the limit of the DaemonSet.
    configure(folder, 40)
    for process in processes("/holdfast"):
        os.kill(process, signal.SIGHUP)
    wait_for(lambda: len(os.listdir(READY)) == 40, "40 files are ready", 60)
    wait_for(lambda: container(world, "plugin").get("ready") is False, "the probe fails", 120)
    event = events(world)
    configure(folder, 4)
    world.node.remove("holdfast")
    wait_for(lambda: not processes("holdfast-kubernetes"), "the pod has ended", 60)
    return "ready, killed, and ready again; %s" % event


def events(world):
    """The event of the probe, which a kubelet without an API server only logs."""
    with open(world.node.folder + "/kubelet.log") as log:
        lines = [line for line in log if "Readiness probe" in line and "failed" in line]
    return lines[-1].split("] ", 1)[1].strip() if lines else ""
