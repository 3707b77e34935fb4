"""A stand-in for the kubelet: registration, the list of devices in use, and what its device manager
does with a plugin."""

import os
import threading
import time
from concurrent import futures

import grpc

from messages import v1, v1beta1

CALL = "/v1beta1.DevicePlugin/"


class Refused(Exception):
    """A pod was not admitted."""


class Plugin:
    """The connection to a resource's socket, as the kubelet makes it at a registration."""

    def __init__(self, path, name):
        self.name = name
        self.devices = {}
        self.changed = threading.Condition()
        self.ended = False
        self.lists = 0
        self.channel = grpc.insecure_channel(
            "unix:" + path,
            options=[("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)])
        self.options = self.call("GetDevicePluginOptions", v1beta1.Empty(),
                                 v1beta1.DevicePluginOptions)
        watch = self.channel.unary_stream(
            CALL + "ListAndWatch", request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=v1beta1.ListAndWatchResponse.FromString)
        self.stream = watch(v1beta1.Empty())
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        try:
            for answer in self.stream:
                with self.changed:
                    self.devices = {device.ID: device for device in answer.devices}
                    self.lists += 1
                    self.changed.notify_all()
        except grpc.RpcError:
            pass
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def call(self, method, message, answer, timeout=10):
        return self.channel.unary_unary(
            CALL + method, request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString)(message, timeout=timeout)

    def allocate(self, ids, timeout=10):
        request = v1beta1.AllocateRequest(container_requests=[{"devices_ids": ids}])
        answer = self.call("Allocate", request, v1beta1.AllocateResponse, timeout)
        if len(answer.container_responses) != 1:
            raise AssertionError("one container was asked for: %s" % answer)
        return answer.container_responses[0]

    def close(self):
        self.stream.cancel()
        self.channel.close()


class Kubelet:
    def __init__(self, folder):
        self.folder = folder
        self.pod_resources = folder + "/pod-resources.sock"
        self.plugins = {}
        self.lock = threading.RLock()
        self.pods = {}  # The name of a pod: its resource and devices, which are in use.
        self.hidden = set()  # Pods that the list leaves out.
        self.registrations = 0
        self.lists = 0
        self.nonsense = None  # Bytes in place of the list.
        self.delay = 0  # For how long a registration has no answer; then it has no effect.
        self.asked = []  # The names of all registrations.
        self.refusal = None  # Why no plugin is registered.
        self.servers = []

    def start(self):
        """Starts, and removes the sockets of plugins, as a kubelet does."""
        for name in os.listdir(self.folder):
            if name.endswith(".sock"):
                os.unlink(self.folder + "/" + name)
        self.plugins = {}
        handlers = {
            "kubelet.sock": grpc.method_handlers_generic_handler("v1beta1.Registration", {
                "Register": grpc.unary_unary_rpc_method_handler(
                    self.register, v1beta1.RegisterRequest.FromString,
                    lambda message: message.SerializeToString())}),
            "pod-resources.sock": grpc.method_handlers_generic_handler("v1.PodResourcesLister", {
                "List": grpc.unary_unary_rpc_method_handler(self.list)})}
        for name, handler in handlers.items():
            server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[handler])
            server.add_insecure_port("unix:%s/%s" % (self.folder, name))
            server.start()
            self.servers.append(server)

    def stop(self):
        for server in self.servers:
            server.stop(None).wait()
        self.servers = []
        for plugin in self.plugins.values():
            plugin.close()
        self.plugins = {}

    def register(self, request, context):
        self.asked.append(request.resource_name)
        if self.delay:
            time.sleep(self.delay)
            return v1beta1.Empty()
        if self.refusal:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.refusal)
        assert request.version == "v1beta1", request
        assert request.options.get_preferred_allocation_available, request
        path = self.folder + "/" + request.endpoint
        threading.Thread(
            target=self.connect, args=(path, request.resource_name), daemon=True).start()
        self.registrations += 1
        return v1beta1.Empty()

    def connect(self, path, name):
        try:
            plugin = Plugin(path, name)
        except grpc.RpcError:
            return  # It has died meanwhile.
        with self.lock:
            if name in self.plugins:
                self.plugins[name].close()
            self.plugins[name] = plugin

    def list(self, request, context):
        self.lists += 1
        if self.nonsense is not None:
            return self.nonsense
        answer = v1.ListPodResourcesResponse()
        with self.lock:
            for pod, (resource, ids) in self.pods.items():
                if pod in self.hidden:
                    continue
                container = answer.pod_resources.add(name=pod, namespace="x").containers.add(
                    name="c", cpu_ids=[0, 1])
                container.devices.add(resource_name="cpu.example/other", device_ids=["n0-0"])
                container.devices.add(resource_name=resource, device_ids=ids)
        return answer.SerializeToString()

    def free(self, resource):
        """The devices that a pod could get now."""
        with self.lock:
            plugin = self.plugins.get(resource)
            if plugin is None or plugin.ended:
                return []
            used = {id for name, ids in self.pods.values() if name == resource for id in ids}
            return [device.ID for device in plugin.devices.values()
                    if device.health == "Healthy" and device.ID not in used]

    def admit(self, pod, resource, count=1, timeout=10):
        """Chooses devices, and allocates them. The pod is in the list from the answer on."""
        free = self.free(resource)
        if len(free) < count:
            raise Refused("%d devices of %s are free" % (len(free), resource))
        plugin = self.plugins[resource]
        try:
            chosen = plugin.call(
                "GetPreferredAllocation",
                v1beta1.PreferredAllocationRequest(container_requests=[
                    {"available_deviceIDs": free, "allocation_size": count}]),
                v1beta1.PreferredAllocationResponse).container_responses[0].deviceIDs
            chosen = list(chosen)
            assert len(set(chosen)) == count and set(chosen) <= set(free), (chosen, free)
            answer = plugin.allocate(chosen, timeout)
        except grpc.RpcError as error:
            raise Refused("%s: %s" % (error.code(), error.details()))
        with self.lock:
            self.pods[pod] = (resource, chosen)
        return answer

    def end(self, pod):
        with self.lock:
            self.pods.pop(pod, None)
