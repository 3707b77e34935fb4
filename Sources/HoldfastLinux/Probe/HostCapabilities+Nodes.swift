public import HoldfastCore

extension HostCapabilities {
  /// A NUMA node (/sys/devices/system/node): processors, memory, or both. A node without processors
  /// is memory alone, such as CXL memory.
  public struct Node: Hashable, Sendable, Codable {
    /// The node's part of the huge pages of one size.
    public struct HugePages: Hashable, Sendable, Codable {
      /// The size of a page.
      public var size: ByteCount
      /// The pages of that size on the node, or nil if unknown.
      public var total: PageCount?
      /// The free pages of that size on the node.
      public var free: PageCount

      /// The free pages in bytes.
      public var freeBytes: ByteCount {
        let (bytes, overflow) = free.rawValue.multipliedReportingOverflow(by: size.rawValue)
        return overflow ? ByteCount(.max) : ByteCount(bytes)
      }
    }

    /// The node's number.
    public var id: NodeID
    /// MemTotal of the node, or nil if unknown.
    public var total: ByteCount?
    /// MemFree of the node, or nil if unknown.
    public var free: ByteCount?
    /// An estimate of the memory available on the node without swapping: the free memory and half
    /// of the page cache, because the kernel reports no MemAvailable of a node. Nil if unknown.
    public var available: ByteCount?
    /// The node's part of the huge pages of each size, smallest first.
    public var hugePages: [HugePages]
    /// The node's online processors (`cpulist`).
    public var processors: [UInt32]
    /// Those that this process may run on.
    public var usableProcessors: [UInt32]
    /// The distances to all online nodes, in the order of their numbers; that to the node itself is
    /// 10 (`distance`). Empty if unknown.
    public var distances: [Int]
    /// Whether cpusets allow this process memory of the node (`Mems_allowed_list`).
    public var isAllowed: Bool

    /// Whether the node has memory that this process may use.
    public var hasMemory: Bool { isAllowed && (total ?? .zero) > .zero }
  }

  /// The nodes with memory that this process may use, in ascending order.
  public var memoryNodes: [Node] { nodes.filter(\.hasMemory) }

  /// The node with a number, or nil.
  public func node(_ id: NodeID) -> Node? { nodes.first { $0.id == id } }

  /// The distances between the nodes, for an allocator.
  var nodeDistances: [NodeID: [NodeID: Int]] {
    var distances: [NodeID: [NodeID: Int]] = [:]
    for node in nodes where node.distances.count == nodes.count {
      distances[node.id] = Dictionary(
        zip(nodes.map(\.id), node.distances), uniquingKeysWith: { first, _ in first })
    }
    return distances
  }
}
