internal import HoldfastCore

/// Reads the number of one NUMA node. Whether it exists depends on the host and is checked later.
func nodeID(_ text: String) throws -> NodeID {
  NodeID(UInt32(try wholeNumber(text, in: 0...1023)))
}

/// NUMA nodes as people type them, and as the kernel lists them: `1`, `0,2`, `0-3,8`.
struct NodeList: Hashable, Sendable {
  /// As they were typed, at least one.
  let nodes: [NodeID]

  /// Reads a list. Whether the nodes exist depends on the host and is checked later.
  init(_ text: String) throws(Size.Problem) {
    var nodes: [NodeID] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
      let numbers = ends.compactMap { UInt32(digits: $0) }
      guard (1...2).contains(ends.count), numbers.count == ends.count,
        let low = numbers.first, let high = numbers.last
      else {
        throw Size.Problem(
          description: (part.isEmpty ? "a node is missing" : "'\(part)' is not a node")
            + ", use numbers from 0 to 1023 such as 1, 0,2 or 0-3")
      }
      guard high < 1024 else {
        throw Size.Problem(description: "node \(high) is too large, use numbers from 0 to 1023")
      }
      guard low <= high else {
        throw Size.Problem(description: "'\(part)' runs backwards, use \(high)-\(low)")
      }
      nodes += (low...high).map { NodeID($0) }
    }
    self.nodes = nodes
  }
}
