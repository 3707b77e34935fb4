/// `v1beta1.AllocateRequest`, and `v1beta1.PreStartContainerRequest` as its only element: the
/// devices that the kubelet has chosen, for each container.
package struct AllocateRequest: WireMessage {
  /// The identifiers of the devices of each container.
  package var containers: [DeviceIDs] = []

  package init(_ containers: [DeviceIDs]) { self.containers = containers }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() {
      if field == 1 { try containers.add(try DeviceIDs(wire: value.bytes())) }
    }
  }

  package func write(to writer: inout WireWriter) {
    for container in containers { writer.add(1, container) }
  }
}

/// Identifiers of devices in field 1: `v1beta1.ContainerAllocateRequest`,
/// `v1beta1.ContainerPreferredAllocationResponse` and `v1beta1.PreStartContainerRequest`.
package struct DeviceIDs: WireMessage {
  package var ids: [String] = []

  package init(_ ids: [String]) { self.ids = ids }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() {
      if field == 1 { try ids.add(try value.text()) }
    }
  }

  package func write(to writer: inout WireWriter) {
    for id in ids { writer.addElement(1, id) }
  }
}

/// `v1beta1.Mount`: a path of the node in a container.
package struct Mount: WireMessage {
  package var containerPath = ""
  package var hostPath = ""
  package var isReadOnly = false

  package init(containerPath: String, hostPath: String) {
    self.containerPath = containerPath
    self.hostPath = hostPath
  }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() {
      switch field {
      case 1: containerPath = try value.text()
      case 2: hostPath = try value.text()
      case 3: isReadOnly = try value.flag()
      default: break
      }
    }
  }

  package func write(to writer: inout WireWriter) {
    writer.add(1, containerPath)
    writer.add(2, hostPath)
    writer.add(3, isReadOnly)
  }
}

/// `v1beta1.AllocateResponse`: what the kubelet gives to each container.
package struct AllocateResponse: WireMessage {
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

  /// `v1beta1.ContainerAllocateResponse`.
  package struct Container: WireMessage {
    /// Variables of the container's environment.
    package var environment: [String: String] = [:]
    package var mounts: [Mount] = []

    package init() {}

    package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
      var reader = WireReader(bytes)
      while let (field, value) = try reader.next() {
        switch field {
        case 1:
          var entry = WireReader(try value.bytes())
          var words = (key: "", value: "")
          while let (field, value) = try entry.next() {
            switch field {
            case 1: words.key = try value.text()
            case 2: words.value = try value.text()
            default: break
            }
          }
          environment[words.key] = words.value
        case 2: try mounts.add(try Mount(wire: value.bytes()))
        default: break
        }
      }
    }

    package func write(to writer: inout WireWriter) {
      writer.add(1, environment)
      for mount in mounts { writer.add(2, mount) }
    }
  }
}
