import HoldfastCore

@testable import HoldfastLinux

extension HostCapabilities {
  /// This host with simulated nodes. The kernel refuses to bind memory to nodes whose numbers it
  /// cannot have.
  static func withNodes(
    _ nodes: [(id: UInt32, available: ByteCount, processors: [UInt32])], hugePages: UInt64 = 0
  ) -> HostCapabilities {
    var host = HostProbe().host()
    host.nodes = nodes.map { id, available, processors in
      HostCapabilities.Node(
        id: NodeID(id), total: available, free: available, available: available,
        hugePages: [
          .init(size: .mebibytes(2), total: PageCount(hugePages), free: PageCount(hugePages))
        ],
        processors: processors, usableProcessors: processors, distances: [], isAllowed: true)
    }
    return host
  }
}
