"""Validates the YAML of a folder of Kubernetes' resources: `deployment.py FOLDER`. Each resource
strictly by its schema; the kustomization by the files that it names; and each container by the
rights that it does not need. Prints the version of Kubernetes."""
import pathlib
import sys

import kubernetes_validate
import yaml

folder = pathlib.Path(sys.argv[1])
version = kubernetes_validate.latest_version()
kinds = []
for file in sorted(folder.rglob("*.yaml")):
    for resource in yaml.safe_load_all(file.read_text()):
        kinds.append(resource["kind"])
        if resource["kind"] == "Kustomization":
            for name in resource["resources"] + resource["configMapGenerator"][0]["files"]:
                assert (folder / name).is_file(), "%s: %s is missing" % (file, name)
            continue
        kubernetes_validate.validate(resource, version, strict=True)
        spec = resource.get("spec", {})
        pod = spec.get("template", {}).get("spec", spec)
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in pod.get("containers", []) + pod.get("initContainers", []):
            security = {**pod["securityContext"], **container["securityContext"]}
            place = "%s: %s" % (file, container["name"])
            assert pod["automountServiceAccountToken"] is False, place
            assert security["allowPrivilegeEscalation"] is False, place
            assert security["readOnlyRootFilesystem"] is True, place
            assert security["capabilities"]["drop"] == ["ALL"], place
            assert "privileged" not in security, place
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, place
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounts <= volumes, "%s: no volume %s" % (place, mounts - volumes)
            # The memory of all pods is in this folder.
            if container["name"] not in ("serve", "init"):
                assert "hugepages" not in mounts, place
assert sorted(kinds) == ["DaemonSet", "Kustomization", "Namespace", "Pod"], kinds
print(version)
