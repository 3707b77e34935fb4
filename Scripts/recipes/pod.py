"""Validates Kubernetes' YAML, and converts a container of it to a configuration for an OCI runtime.

pod.py check FILE                    validates strictly, and that the pod has no right that it does
                                     not need; prints the version of Kubernetes
pod.py config FILE ROOT [NAME=FOLDER...]
                                     prints config.json: the first container on ROOT; the contents
                                     of the volume NAME, where it is not a hostPath, are in FOLDER;
                                     HOLDFAST_SECCOMP is the runtime's default profile
pod.py limit FILE RESOURCE           prints a limit of the first container
pod.py probe FILE                    prints the command of its liveness probe, one word a line
"""
import json
import os
import sys

import yaml

resource = yaml.safe_load(open(sys.argv[2]))
is_service = resource["kind"] == "DaemonSet"
pod = resource["spec"]["template"]["spec"] if is_service else resource["spec"]
container = pod["containers"][0]
# A container's settings replace those of its pod.
security = {**pod["securityContext"], **container["securityContext"]}
volumes = {volume["name"]: volume for volume in pod["volumes"]}


def check():
    import kubernetes_validate
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(resource, version, strict=True)
    assert len(pod["containers"]) == 1 and "initContainers" not in pod, pod
    assert pod["automountServiceAccountToken"] is False, pod
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), pod
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}, security
    assert security["allowPrivilegeEscalation"] is False, security
    assert security["readOnlyRootFilesystem"] is True, security
    assert security["capabilities"]["drop"] == ["ALL"], security
    assert "privileged" not in security, security
    if not is_service:
        assert security["runAsNonRoot"] is True and security["runAsUser"] >= 1000, security
        assert "add" not in security["capabilities"], security
        # The folder of the socket is all that it has of the node.
        assert [volume["hostPath"]["path"] for volume in pod["volumes"]] == ["/run/holdfast-pods"]
        assert all(mount["readOnly"] for mount in container["volumeMounts"]), container
    print(version)


def seccomp(capabilities):
    """The runtime's default profile, which states some rules by architecture and capability."""
    with open(os.environ["HOLDFAST_SECCOMP"]) as file:
        profile = json.load(file)

    def applies(rule):
        wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
        return ("amd64" in wanted.get("arches", ["amd64"])
                and set(wanted.get("caps", [])) <= capabilities
                and not set(unwanted.get("caps", [])) & capabilities)

    rules = []
    for rule in filter(applies, profile["syscalls"]):
        converted = {"names": rule["names"], "action": rule["action"]}
        if rule.get("args"):
            converted["args"] = rule["args"]
        if "errnoRet" in rule:
            converted["errnoRet"] = rule["errnoRet"]
        rules.append(converted)
    return {"defaultAction": profile["defaultAction"], "syscalls": rules,
            "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]}


def config(root, *folders):
    """The configuration that a kubelet passes to its runtime, without limits: the caller's cgroup
    has them."""
    folders = dict(folder.split("=", 1) for folder in folders)
    capabilities = ["CAP_" + name for name in security["capabilities"].get("add", [])]
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
                       "options": ["rbind", "ro" if mount.get("readOnly") else "rw"]})
    return {
        "ociVersion": "1.0.2",
        "root": {"path": root, "readonly": security["readOnlyRootFilesystem"]},
        "hostname": resource["metadata"]["name"],
        "process": {
            "args": [str(argument) for argument in container["command"]],
            "cwd": "/",
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "user": {"uid": security["runAsUser"], "gid": security.get("runAsGroup", 0),
                     "additionalGids": security.get("supplementalGroups", [])},
            "noNewPrivileges": not security["allowPrivilegeEscalation"],
            "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
        },
        "mounts": mounts,
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")],
                  "seccomp": seccomp(set(capabilities))},
    }


if sys.argv[1] == "check":
    check()
elif sys.argv[1] == "probe":
    print(*container["livenessProbe"]["exec"]["command"], sep="\n")
elif sys.argv[1] == "limit":
    print(container["resources"]["limits"][sys.argv[3]])
else:
    print(json.dumps(config(*sys.argv[3:]), indent=1))
