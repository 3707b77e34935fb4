/// `v1.ListPodResourcesResponse`, of which the plugin needs the devices alone.
package struct PodResources: WireMessage {
  /// A device of a resource that a container has.
  package struct DeviceInUse: Hashable, Sendable {
    package var resourceName: String
    package var id: String

    package init(resourceName: String, id: String) {
      self.resourceName = resourceName
      self.id = id
    }
  }

  /// The devices of all containers.
  package var devices: Set<DeviceInUse> = []

  package init(_ devices: Set<DeviceInUse>) { self.devices = devices }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var pods = WireReader(bytes)
    while let (field, pod) = try pods.next() {
      guard field == 1 else { continue }
      // v1.PodResources: name, namespace, containers.
      var containers = WireReader(try pod.bytes())
      while let (field, container) = try containers.next() {
        guard field == 3 else { continue }
        // v1.ContainerResources: name, devices.
        var lists = WireReader(try container.bytes())
        while let (field, list) = try lists.next() {
          if field == 2 { try add(list.bytes()) }
        }
      }
    }
  }

  /// Adds a `v1.ContainerDevices`: the name of a resource, identifiers.
  private mutating func add(_ bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    var name = ""
    var ids: [String] = []
    while let (field, value) = try reader.next() {
      switch field {
      case 1: name = try value.text()
      case 2: try ids.add(try value.text())
      default: break
      }
    }
    for id in ids {
      guard devices.count < WireReader.mostElements else { throw .tooMany }
      devices.insert(DeviceInUse(resourceName: name, id: id))
    }
  }

  package func write(to writer: inout WireWriter) {
    for device in devices.sorted(by: { ($0.resourceName, $0.id) < ($1.resourceName, $1.id) }) {
      var list = WireWriter()
      list.add(1, device.resourceName)
      list.addElement(2, device.id)
      writer.add(1, Nested(3, Nested(2, Nested(bytes: list.bytes))))
    }
  }

  /// Bytes of a message, or a message with one message in it.
  private struct Nested: WireMessage {
    var bytes: [UInt8]
    init(bytes: [UInt8]) { self.bytes = bytes }
    init(_ field: UInt64, _ inner: Nested) {
      var writer = WireWriter()
      writer.add(field, inner)
      bytes = writer.bytes
    }
    init(wire bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }
    func write(to writer: inout WireWriter) { writer.append(bytes) }
  }
}
