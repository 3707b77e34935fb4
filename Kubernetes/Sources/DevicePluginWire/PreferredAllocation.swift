/// `v1beta1.PreferredAllocationRequest`: for each container, the devices to choose from.
package struct PreferredAllocationRequest: WireMessage {
  package var containers: [Container] = []

  package init(_ containers: [Container]) { self.containers = containers }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() {
      if field == 1 { try containers.add(try Container(wire: value.bytes())) }
    }
  }

  package func write(to writer: inout WireWriter) {
    for container in containers { writer.add(1, container) }
  }

  /// `v1beta1.ContainerPreferredAllocationRequest`.
  package struct Container: WireMessage {
    package var available: [String] = []
    package var mustInclude: [String] = []
    /// The number of devices to choose, those that must be included among them.
    package var count: Int32 = 0

    package init(available: [String], mustInclude: [String] = [], count: Int32) {
      self.available = available
      self.mustInclude = mustInclude
      self.count = count
    }

    package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
      var reader = WireReader(bytes)
      while let (field, value) = try reader.next() {
        switch field {
        case 1: try available.add(try value.text())
        case 2: try mustInclude.add(try value.text())
        // A negative int32 has ten bytes, of which the lower four are the number.
        case 3: count = Int32(truncatingIfNeeded: try value.number())
        default: break
        }
      }
    }

    package func write(to writer: inout WireWriter) {
      for id in available { writer.addElement(1, id) }
      for id in mustInclude { writer.addElement(2, id) }
      writer.add(3, UInt64(bitPattern: Int64(count)))
    }
  }
}

/// `v1beta1.PreferredAllocationResponse`: the devices that the plugin prefers.
package struct PreferredAllocationResponse: WireMessage {
  package var containers: [DeviceIDs] = []

  package init(_ containers: [DeviceIDs]) { self.containers = containers }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    containers = try AllocateRequest(wire: bytes).containers
  }

  package func write(to writer: inout WireWriter) {
    for container in containers { writer.add(1, container) }
  }
}
