"""The published messages of the kubelet's protocols, v1beta1 of device plugins and v1 of
pod-resources, as descriptors for Google's protobuf library. Nothing here is shared with the plugin,
so that the two check each other."""

from google.protobuf import descriptor_pb2, descriptor_pool

try:
    from google.protobuf.message_factory import GetMessageClass as message_class
except ImportError:  # Debian 12's version.
    from google.protobuf.message_factory import MessageFactory

    message_class = MessageFactory().GetPrototype

STRING, BOOL, INT32, INT64, MESSAGE = 9, 8, 5, 3, 11

# Each field: name, number, type or message, and "*" where it is repeated.
DEVICE_PLUGIN = {
    "Empty": [],
    "DevicePluginOptions": [("pre_start_required", 1, BOOL),
                            ("get_preferred_allocation_available", 2, BOOL)],
    "RegisterRequest": [("version", 1, STRING), ("endpoint", 2, STRING),
                        ("resource_name", 3, STRING), ("options", 4, "DevicePluginOptions")],
    "NUMANode": [("ID", 1, INT64)],
    "TopologyInfo": [("nodes", 1, "NUMANode", "*")],
    "Device": [("ID", 1, STRING), ("health", 2, STRING), ("topology", 3, "TopologyInfo")],
    "ListAndWatchResponse": [("devices", 1, "Device", "*")],
    "ContainerPreferredAllocationRequest": [
        ("available_deviceIDs", 1, STRING, "*"), ("must_include_deviceIDs", 2, STRING, "*"),
        ("allocation_size", 3, INT32)],
    "PreferredAllocationRequest": [
        ("container_requests", 1, "ContainerPreferredAllocationRequest", "*")],
    "ContainerPreferredAllocationResponse": [("deviceIDs", 1, STRING, "*")],
    "PreferredAllocationResponse": [
        ("container_responses", 1, "ContainerPreferredAllocationResponse", "*")],
    "ContainerAllocateRequest": [("devices_ids", 1, STRING, "*")],
    "AllocateRequest": [("container_requests", 1, "ContainerAllocateRequest", "*")],
    "Mount": [("container_path", 1, STRING), ("host_path", 2, STRING), ("read_only", 3, BOOL)],
    "DeviceSpec": [("container_path", 1, STRING), ("host_path", 2, STRING),
                   ("permissions", 3, STRING)],
    "CDIDevice": [("name", 1, STRING)],
    "ContainerAllocateResponse": [
        ("envs", 1, "map"), ("mounts", 2, "Mount", "*"), ("devices", 3, "DeviceSpec", "*"),
        ("annotations", 4, "map"), ("cdi_devices", 5, "CDIDevice", "*")],
    "AllocateResponse": [("container_responses", 1, "ContainerAllocateResponse", "*")],
    "PreStartContainerRequest": [("devices_ids", 1, STRING, "*")],
    "PreStartContainerResponse": [],
}
POD_RESOURCES = {
    "ListPodResourcesRequest": [],
    "ContainerDevices": [("resource_name", 1, STRING), ("device_ids", 2, STRING, "*")],
    "ContainerResources": [("name", 1, STRING), ("devices", 2, "ContainerDevices", "*"),
                           ("cpu_ids", 3, INT64, "*")],
    "PodResources": [("name", 1, STRING), ("namespace", 2, STRING),
                     ("containers", 3, "ContainerResources", "*")],
    "ListPodResourcesResponse": [("pod_resources", 1, "PodResources", "*")],
}


def build(package, messages):
    """The messages' classes, as attributes."""
    file = descriptor_pb2.FileDescriptorProto(
        name=package + ".proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind, *repeated in fields:
            entry = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if kind == "map":
                words = "".join(word.title() for word in field.split("_")) + "Entry"
                nested = message.nested_type.add(name=words)
                nested.options.map_entry = True
                nested.field.add(name="key", number=1, label=1, type=STRING)
                nested.field.add(name="value", number=2, label=1, type=STRING)
                entry.label, entry.type = 3, MESSAGE
                entry.type_name = ".%s.%s.%s" % (package, name, words)
            elif isinstance(kind, str):
                entry.type, entry.type_name = MESSAGE, ".%s.%s" % (package, kind)
            else:
                entry.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return type(package, (), {
        name: message_class(pool.FindMessageTypeByName("%s.%s" % (package, name)))
        for name in messages})


v1beta1 = build("v1beta1", DEVICE_PLUGIN)
v1 = build("v1", POD_RESOURCES)
