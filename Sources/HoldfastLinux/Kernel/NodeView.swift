package import HoldfastCore
internal import SystemPackage

/// The NUMA nodes that the pages of a range are on, as the kernel reports.
package struct NodeView: Hashable, Sendable {
  /// The bytes on each node; nil if the kernel does not report them.
  package var bytes: [NodeID: UInt64]? = [:]
  /// The bytes that are not on the node to which their frames are bound.
  package var strayBytes: UInt64 = 0
  /// The bytes that are not on the node that was preferred for their frames.
  package var displacedBytes: UInt64 = 0
  /// Why the kernel does not report the nodes, or less exactly; nil if it does.
  package var problem: String?
  /// The bytes that are not in the page tables, whose nodes the kernel does not report.
  package var unknownBytes: UInt64 = 0

  /// Creates an empty view.
  package init() {}
}

extension NodeView {
  /// The node that has all memory of the host; nil if several have some, or that is unknown.
  static func onlyNode() -> NodeID? {
    HostFiles(root: "/").text("/sys/devices/system/node/has_memory", limit: 4096)
      .flatMap { UInt32($0.trimmed) }.map { NodeID($0) }
  }

  /// Adds bytes that are on a node.
  mutating func add(_ count: UInt64, on node: NodeID, _ part: ArenaPart) {
    bytes?[node, default: 0] += count
    guard let wanted = part.node, wanted != node else { return }
    if part.isStrict { strayBytes += count } else { displacedBytes += count }
  }

  /// Asks for the nodes of the pages of a part, with move_pages(2). Those that are not in the page
  /// tables are not counted.
  ///
  /// - Parameter step: the size of a page, which is on one node.
  /// - Complexity: O(pages).
  mutating func add(
    _ range: HostRange, _ offsets: Range<UInt64>, _ step: UInt64, _ part: ArenaPart
  ) throws(Errno) {
    try range.nodes(offsets, step: step) { offset, node in
      if let node { add(min(step, offsets.upperBound - offset), on: node, part) }
    }
  }

  /// Takes the nodes from numa_maps, where move_pages(2) is refused.
  mutating func useNumaMaps(
    of range: HostRange, _ host: Range<UInt64>, _ parts: [ArenaPart]
  ) {
    let problem = problem ?? "move_pages(2) was not called"
    self = NodeView()
    bytes = range.bytesByNode(
      host.lowerBound - range.address..<host.upperBound - range.address)
    self.problem =
      problem + (bytes == nil ? "" : "; numa_maps was used instead, which is less exact")
    // Of memory that should all be on one node, what is not is counted.
    guard let bytes, let part = parts.first, let wanted = part.node,
      parts.allSatisfy({ $0.node == wanted })
    else { return }
    let elsewhere = bytes.reduce(UInt64(0)) { $1.key == wanted ? $0 : $0.saturatingSum($1.value) }
    if part.isStrict { strayBytes = elsewhere } else { displacedBytes = elsewhere }
  }
}

extension HostRange {
  /// The bytes on each node of the mappings in a part, or nil if numa_maps cannot be read or a
  /// mapping exceeds the part.
  func bytesByNode(_ part: Range<UInt64>) -> [NodeID: UInt64]? {
    let host = address + part.lowerBound..<address + part.upperBound
    guard let text = HostFiles(root: "/").text("/proc/self/numa_maps", limit: 1 << 26),
      let mappings = try? KernelMapping.all(overlapping: host),
      mappings.allSatisfy({ host.contains($0.range) })
    else { return nil }
    var bytes: [NodeID: UInt64] = [:]
    let starts = Set(mappings.map(\.range.lowerBound))
    for mapping in NumaMapping.parse(text) where starts.contains(mapping.start) {
      bytes.merge(mapping.bytes) { $0.saturatingSum($1) }
    }
    return bytes
  }
}
