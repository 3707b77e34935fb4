"""A node of its own: containerd and a kubelet, without an API server, in namespaces."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import tempfile
import urllib.request

from host import LIBC, wait_for

IMAGE = "holdfast.test/pod:1"
RUNTIME = "/run/containerd/containerd.sock"
FOLDERS = ["/var/lib/kubelet", "/var/lib/containerd", "/run/containerd", "/var/log/pods",
           "/var/log/containers"]
# The kubelet sets them for its node, which here is the whole machine: it gets files instead.
SETTINGS = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
            "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"]

CONTAINERD = """
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%s"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
""" % IMAGE

KUBELET = {
    "kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "staticPodPath": None, "readOnlyPort": 10255, "address": "127.0.0.1",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"}, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": False,
    "enforceNodeAllocatable": [], "failSwapOn": False, "makeIPTablesUtilChains": False,
    "evictionHard": {"memory.available": "1Mi"}, "fileCheckFrequency": "1s",
    "syncFrequency": "2s", "resolvConf": ""}


def image(program, path):
    """Writes an image of one static program, as `docker save` would."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(program, "pod")
        for name in ("run", "proc", "sys", "dev", "etc", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
    layer = layer.getvalue()
    config = json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": ["/pod"], "Cmd": ["pause"]},
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
    manifest = json.dumps([{
        "Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in (
                ("layer.tar", layer), ("config.json", config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def mount(source, target, kind=None, flags=0):
    kind = kind and kind.encode()
    if LIBC.mount(source.encode(), target.encode(), kind, flags, None) != 0:
        raise OSError("mount %s" % target)


class Node:
    def __init__(self, kubelet, program, folder):
        self.program, self.folder = kubelet, folder
        self.pods = folder + "/pods"
        self.processes = []
        self.kubelet = None
        self.restarts = 0
        for path in FOLDERS:
            os.makedirs(path, exist_ok=True)
            mount("none", path, "tmpfs")
        for name in SETTINGS:
            path = "/proc/sys/" + name
            if os.path.exists(path):
                copy = "%s/%s" % (folder, name.replace("/", "."))
                with open(path) as source, open(copy, "w") as target:
                    target.write(source.read())
                mount(copy, path, flags=4096)
        os.makedirs("/var/lib/kubelet/device-plugins")
        os.mkdir(self.pods)
        image(program, folder + "/image.tar")
        with open(folder + "/containerd.toml", "w") as file:
            file.write(CONTAINERD)
        text = subprocess.run(
            [kubelet, "--version"], check=True, capture_output=True, text=True).stdout
        self.version = text.split()[-1]
        self.minor = int(re.search(r"v1\.(\d+)", self.version).group(1))

    def spawn(self, name, command):
        log = open("%s/%s.log" % (self.folder, name), "a")
        process = subprocess.Popen(command, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def start(self):
        self.spawn("containerd", ["containerd", "--config", self.folder + "/containerd.toml"])
        wait_for(lambda: os.path.exists(RUNTIME), "containerd listens", 60)
        subprocess.run(
            ["ctr", "--namespace", "k8s.io", "images", "import", "--snapshotter", "native",
             self.folder + "/image.tar"], check=True, stdout=subprocess.DEVNULL)
        self.start_kubelet()

    def start_kubelet(self):
        configuration = dict(KUBELET, staticPodPath=self.pods)
        command = [self.program, "--config", self.folder + "/kubelet.json",
                   "--hostname-override", "node", "--root-dir", "/var/lib/kubelet", "--v=2"]
        if self.minor < 27:
            command += ["--container-runtime=remote",
                        "--container-runtime-endpoint=unix://" + RUNTIME]
        else:
            configuration["containerRuntimeEndpoint"] = "unix://" + RUNTIME
        if self.minor >= 31:
            configuration["failCgroupV1"] = False
        with open(self.folder + "/kubelet.json", "w") as file:
            json.dump(configuration, file)
        self.kubelet = self.spawn("kubelet", command)
        wait_for(lambda: self.kubelet.poll() is not None or self.status() is not None,
                 "the kubelet lists pods", 60)
        assert self.kubelet.poll() is None, "the kubelet has ended"

    def stop_kubelet(self, number=signal.SIGTERM):
        self.kubelet.send_signal(number)
        self.kubelet.wait(30)

    def status(self):
        """The pods that the kubelet has, by name."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:10255/pods", timeout=5) as answer:
                pods = json.load(answer)["items"] or []
        except OSError:
            return None
        return {pod["metadata"]["name"].removesuffix("-node"): pod for pod in pods}

    def create(self, name, resources, arguments, user=None, volumes=()):
        """Writes the manifest of a static pod."""
        limits = {"holdfast.dev/" + resource: count for resource, count in resources.items()}
        container = {
            "name": "pod", "image": IMAGE, "imagePullPolicy": "Never", "args": arguments,
            "resources": {"limits": limits},
            "volumeMounts": [{"name": "v%d" % number, "mountPath": path}
                             for number, path in enumerate(volumes)]}
        if user is not None:
            container["securityContext"] = {"runAsUser": user, "runAsGroup": user}
        pod = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "hostNetwork": True, "restartPolicy": "Never", "containers": [container],
                "terminationGracePeriodSeconds": 20, "enableServiceLinks": False,
                "volumes": [{"name": "v%d" % number, "hostPath": {"path": path}}
                            for number, path in enumerate(volumes)]}}
        self.write(name, pod)

    def write(self, name, pod):
        temporary = "%s/.%s" % (self.folder, name)
        with open(temporary, "w") as file:
            json.dump(pod, file)
        os.rename(temporary, "%s/%s.json" % (self.pods, name))

    def remove(self, name):
        os.unlink("%s/%s.json" % (self.pods, name))

    def lines(self, name):
        """What a pod has printed."""
        lines = []
        for folder in sorted(os.listdir("/var/log/pods")):
            if folder.startswith("default_%s-node_" % name):
                for path, _, files in os.walk("/var/log/pods/" + folder):
                    for file in sorted(files):
                        with open(os.path.join(path, file)) as log:
                            lines += [line.split(" ", 3)[3].rstrip("\n") for line in log]
        return lines

    def until(self, name, word, seconds=60):
        """Waits for a line that begins with a word; returns all lines."""
        def look():
            lines = self.lines(name)
            assert not any(line.startswith(("dirty", "changed", "failed")) for line in lines), lines
            return any(line.startswith(word) for line in lines)
        try:
            wait_for(look, "pod %s prints '%s'" % (name, word), seconds)
        except AssertionError as error:
            status = (self.status() or {}).get(name, {}).get("status")
            raise AssertionError("%s; it has printed %s; its status is %s" % (
                error, self.lines(name), status)) from None
        return self.lines(name)

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
