"""Validates the YAML of a folder of Kubernetes' resources: `deployment.py FOLDER`. Each resource
strictly by its schema; those of Prometheus's operator, which has none there, by the fields that are
listed here; kustomizations by the files that they name; and each container by the rights that it
does not need. Prints the version of Kubernetes."""
import pathlib
import re
import sys

import kubernetes_validate
import yaml

# Fields of monitoring.coreos.com/v1, as far as the files use them: "=" and a type or a pattern,
# a list of one element, or the fields. Those with "!" are required.
POD_MONITOR = {
    "selector!": {"matchLabels!": dict},
    "podMetricsEndpoints!": [{
        "port!": str, "path": "/.*", "interval": r"\d+[smh]", "scrapeTimeout": r"\d+[smh]",
        "relabelings": [{"sourceLabels!": [str], "targetLabel!": "[a-z_]+"}]}],
}
PROMETHEUS_RULE = {
    "groups!": [{
        "name!": str,
        "rules!": [{
            "alert!": "[A-Za-z]+", "expr!": str, "for": r"\d+[smh]",
            "labels": {"severity!": "info|warning|critical"}, "annotations": {"summary!": str}}]}],
}
OPERATOR = {"PodMonitor": POD_MONITOR, "PrometheusRule": PROMETHEUS_RULE}


def check(value, form, place):
    """Checks a value of a resource without a schema."""
    if isinstance(form, dict):
        assert isinstance(value, dict), place
        names = {name.rstrip("!"): part for name, part in form.items()}
        missing = {name[:-1] for name in form if name.endswith("!")} - set(value)
        assert not missing, "%s lacks %s" % (place, missing)
        for name, part in value.items():
            assert name in names, "%s has the unknown field %s" % (place, name)
            check(part, names[name], "%s.%s" % (place, name))
    elif isinstance(form, list):
        assert isinstance(value, list) and value, place
        for part in value:
            check(part, form[0], place)
    elif isinstance(form, str):
        assert isinstance(value, str) and re.fullmatch(form, value), "%s: %r" % (place, value)
    else:
        assert isinstance(value, form), place


def check_plugin(containers):
    """Checks what the plugin's container says about itself and about the service's."""
    container = containers["plugin"]
    variables = {}
    for variable in container["env"]:
        source = variable["valueFrom"]["resourceFieldRef"]
        kind, resource = source["resource"].split(".", 1)
        assert source["divisor"] == "1", "the plugin reads bytes"
        resources = containers[source["containerName"]]["resources"]
        variables[variable["name"]] = resources[kind][resource]
    options = container["command"]
    used = set(re.findall(r"\$\((\w+)\)", " ".join(options)))
    assert used == set(variables), "the variables %s are used, not %s" % (used, set(variables))
    metrics = options[options.index("--metrics") + 1]
    port = int(metrics.rsplit(":", 1)[1])
    assert [port] == [entry["containerPort"] for entry in container["ports"]], container["ports"]
    probe = container["readinessProbe"]["exec"]["command"]
    assert probe == [options[0], "--check-accounting", "127.0.0.1:%d" % port], probe


folder = pathlib.Path(sys.argv[1])
version = kubernetes_validate.latest_version()
kinds = []
monitors = []
labels = {}
ports = set()
for file in sorted(folder.rglob("*.yaml")):
    for resource in yaml.safe_load_all(file.read_text()):
        kinds.append(resource["kind"])
        if resource["kind"] in ("Kustomization", "Component"):
            generators = resource.get("configMapGenerator", [])
            for name in resource["resources"] + [
                    name for generator in generators for name in generator["files"]]:
                assert (file.parent / name).is_file(), "%s: %s is missing" % (file, name)
            # A cluster without Prometheus's operator takes the base.
            if resource["kind"] == "Kustomization":
                for name in resource["resources"]:
                    assert "monitoring.coreos.com" not in (file.parent / name).read_text(), name
            continue
        if resource["kind"] in OPERATOR:
            assert set(resource) == {"apiVersion", "kind", "metadata", "spec"}, file
            assert resource["apiVersion"] == "monitoring.coreos.com/v1", file
            check(resource["spec"], OPERATOR[resource["kind"]], "%s: spec" % file)
            if resource["kind"] == "PodMonitor":
                monitors.append(resource["spec"])
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
            if resource["kind"] == "DaemonSet":
                ports |= {port["name"] for port in container.get("ports", [])}
        if resource["kind"] == "DaemonSet":
            labels = spec["template"]["metadata"]["labels"]
            check_plugin({container["name"]: container for container in pod["containers"]})
assert sorted(kinds) == ["Component", "DaemonSet", "Kustomization", "Namespace", "Pod",
                         "PodMonitor", "PrometheusRule"], kinds
for monitor in monitors:
    assert monitor["selector"]["matchLabels"].items() <= labels.items(), labels
    for endpoint in monitor["podMetricsEndpoints"]:
        assert endpoint["port"] in ports, "no container has the port %s" % endpoint["port"]
print(version)
