"""Validates Kubernetes' YAML, and converts a container of it to a configuration for an OCI runtime.

pod.py check FILE                    validates strictly; prints the version of Kubernetes
pod.py config FILE ROOT [NAME=FOLDER...]
                                     prints config.json: the first container on ROOT; the contents
                                     of the volume NAME, where it is not a hostPath, are in FOLDER
pod.py limit FILE RESOURCE           prints a limit of the first container
pod.py probe FILE                    prints the command of its liveness probe, one word a line
"""
import json
import sys

import yaml

resource = yaml.safe_load(open(sys.argv[2]))
pod = resource["spec"]["template"]["spec"] if resource["kind"] == "DaemonSet" else resource["spec"]
container = pod["containers"][0]


def check():
    import kubernetes_validate
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(resource, version, strict=True)
    print(version)


def config(root, *folders):
    """The configuration that a kubelet passes to its runtime, without limits: the caller's cgroup
    has them."""
    folders = dict(folder.split("=", 1) for folder in folders)
    security = container["securityContext"]
    assert security["capabilities"]["drop"] == ["ALL"], security
    capabilities = ["CAP_" + name for name in security["capabilities"].get("add", [])]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    # Like all runtimes that a kubelet uses.
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    ]
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        source = volume["hostPath"]["path"] if "hostPath" in volume else folders[mount["name"]]
        mounts.append({"destination": mount["mountPath"], "type": "bind", "source": source,
                       "options": ["rbind", "rw" if "hostPath" in volume else "ro"]})
    return {
        "ociVersion": "1.0.2",
        "root": {"path": root},
        "hostname": resource["metadata"]["name"],
        "process": {
            "args": [str(argument) for argument in container["command"]],
            "cwd": "/",
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "user": {"uid": security["runAsUser"], "gid": 0},
            "noNewPrivileges": not security["allowPrivilegeEscalation"],
            "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
        },
        "mounts": mounts,
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]},
    }


if sys.argv[1] == "check":
    check()
elif sys.argv[1] == "probe":
    print(*container["livenessProbe"]["exec"]["command"], sep="\n")
elif sys.argv[1] == "limit":
    print(container["resources"]["limits"][sys.argv[3]])
else:
    print(json.dumps(config(*sys.argv[3:]), indent=1))
