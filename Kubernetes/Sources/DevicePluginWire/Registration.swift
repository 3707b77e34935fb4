/// A message without fields: `v1beta1.Empty`, `v1beta1.PreStartContainerResponse` and
/// `v1.ListPodResourcesRequest`.
package struct EmptyMessage: WireMessage {
  package init() {}

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    while try reader.next() != nil {}
  }

  package func write(to writer: inout WireWriter) {}
}

/// `v1beta1.DevicePluginOptions`: which optional calls the plugin answers.
package struct DevicePluginOptions: WireMessage {
  /// Whether the kubelet calls PreStartContainer before each start of a container.
  package var needsPreStart = false
  /// Whether the kubelet calls GetPreferredAllocation.
  package var hasPreferredAllocation = false

  package init(needsPreStart: Bool = false, hasPreferredAllocation: Bool = false) {
    self.needsPreStart = needsPreStart
    self.hasPreferredAllocation = hasPreferredAllocation
  }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() {
      switch field {
      case 1: needsPreStart = try value.flag()
      case 2: hasPreferredAllocation = try value.flag()
      default: break
      }
    }
  }

  package func write(to writer: inout WireWriter) {
    writer.add(1, needsPreStart)
    writer.add(2, hasPreferredAllocation)
  }
}

/// `v1beta1.RegisterRequest`: a plugin's socket for a resource.
package struct RegisterRequest: WireMessage {
  /// The version of the protocol.
  package var version = "v1beta1"
  /// The name of the plugin's socket in the folder of the kubelet's.
  package var endpoint = ""
  /// The name of the resource, such as `holdfast.dev/ready-2m-2gi`.
  package var resourceName = ""
  package var options = DevicePluginOptions()

  package init(endpoint: String, resourceName: String, options: DevicePluginOptions) {
    self.endpoint = endpoint
    self.resourceName = resourceName
    self.options = options
  }

  package init(wire bytes: ArraySlice<UInt8>) throws(WireError) {
    version = ""
    var reader = WireReader(bytes)
    while let (field, value) = try reader.next() {
      switch field {
      case 1: version = try value.text()
      case 2: endpoint = try value.text()
      case 3: resourceName = try value.text()
      case 4: options = try DevicePluginOptions(wire: value.bytes())
      default: break
      }
    }
  }

  package func write(to writer: inout WireWriter) {
    writer.add(1, version)
    writer.add(2, endpoint)
    writer.add(3, resourceName)
    writer.add(4, options)
  }
}
