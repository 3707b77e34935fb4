public import HoldfastCore

extension HostCapabilities {
  /// A NUMA node (/sys/devices/system/node): processors, memory, or both. One without processors is
  /// memory of its own, as behind CXL; one without memory has processors only.
  public struct Node: Hashable, Sendable, Codable {
    /// The node's part of the huge pages of one size.
    public struct HugePages: Hashable, Sendable, Codable {
      /// The size of a page.
      public var size: ByteCount
      /// All pages of that size on the node, or nil.
      public var total: PageCount?
      /// Pages of that size that are free on the node.
      public var free: PageCount

      /// The bytes of the free pages.
      public var freeBytes: ByteCount {
        let (bytes, overflow) = free.rawValue.multipliedReportingOverflow(by: size.rawValue)
        return overflow ? ByteCount(.max) : ByteCount(bytes)
      }
    }

    /// The node's number.
    public var id: NodeID
    /// MemTotal of the node, or nil.
    public var total: ByteCount?
    /// MemFree of the node, or nil.
    public var free: ByteCount?
    /// What can be had on the node without swapping, about: free memory and half of the page cache,
    /// since the kernel tells no MemAvailable of a node; nil where it tells nothing.
    public var available: ByteCount?
    /// The node's part of the huge pages of each size, smallest first.
    public var hugePages: [HugePages]
    /// The node's processors that are online (`cpulist`).
    public var processors: [UInt32]
    /// Those of them that this process may run on.
    public var usableProcessors: [UInt32]
    /// The distances to this node and the others that are online, in the order of their numbers,
    /// 10 being the node itself (`distance`); empty where unknown.
    public var distances: [Int]
    /// Whether cpusets let this process have memory of the node (`Mems_allowed_list`).
    public var isAllowed: Bool

    /// Whether there is memory that this process may have.
    public var hasMemory: Bool { isAllowed && (total ?? .zero) > .zero }
  }

  /// The nodes whose memory this process may have, by number.
  public var memoryNodes: [Node] { nodes.filter(\.hasMemory) }

  /// The node of a number, or nil.
  public func node(_ id: NodeID) -> Node? { nodes.first { $0.id == id } }

  /// How far the nodes lie from each other, for an allocator.
  var nodeDistances: [NodeID: [NodeID: Int]] {
    var distances: [NodeID: [NodeID: Int]] = [:]
    for node in nodes where node.distances.count == nodes.count {
      distances[node.id] = Dictionary(
        uniqueKeysWithValues: zip(nodes.map(\.id), node.distances))
    }
    return distances
  }
}
