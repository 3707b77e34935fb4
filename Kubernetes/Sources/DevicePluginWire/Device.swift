/// `v1beta1.Device`: a piece of memory that a pod can have.
package struct Device: WireMessage {
  package var id = ""
  /// Whether the kubelet may give it to a pod.
  package var isHealthy = false
  /// The NUMA nodes that it is near to, as `v1beta1.TopologyInfo`; empty where that is unknown.
  package var nodes: [UInt32] = []

  package init(id: String, isHealthy: Bool, nodes: [UInt32] = []) {
    self.id = id
    self.isHealthy = isHealthy
    self.nodes = nodes
  }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() {
      switch field {
      case 1: id = try value.text()
      case 2: isHealthy = try value.text() == "Healthy"
      case 3: nodes = try Topology(wire: value.bytes()).nodes
      default: break
      }
    }
  }

  package func write(to writer: inout WireWriter) {
    writer.add(1, id)
    writer.add(2, isHealthy ? "Healthy" : "Unhealthy")
    if !nodes.isEmpty { writer.add(3, Topology(nodes: nodes)) }
  }

  /// `v1beta1.TopologyInfo`: messages with the number of a node each.
  private struct Topology: WireMessage {
    var nodes: [UInt32] = []

    init(nodes: [UInt32]) { self.nodes = nodes }

    init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
      var reader = WireReader(bytes)
      while let (field, value) = try reader.next() {
        if field == 1 { try nodes.add(try Node(wire: value.bytes()).id) }
      }
    }

    func write(to writer: inout WireWriter) {
      for node in nodes { writer.add(1, Node(id: node)) }
    }
  }

  private struct Node: WireMessage {
    var id: UInt32 = 0

    init(id: UInt32) { self.id = id }

    init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
      var reader = WireReader(bytes)
      while let (field, value) = try reader.next() {
        guard field == 1 else { continue }
        guard let id = UInt32(exactly: try value.number()) else { throw .badNumber }
        self.id = id
      }
    }

    func write(to writer: inout WireWriter) { writer.add(1, UInt64(id)) }
  }
}

/// `v1beta1.ListAndWatchResponse`: all devices of a resource.
package struct DeviceList: WireMessage {
  package var devices: [Device] = []

  package init(_ devices: [Device]) { self.devices = devices }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() {
      if field == 1 { try devices.add(try Device(wire: value.bytes())) }
    }
  }

  package func write(to writer: inout WireWriter) {
    for device in devices { writer.add(1, device) }
  }
}
