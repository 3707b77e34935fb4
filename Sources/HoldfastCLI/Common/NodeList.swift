internal import HoldfastCore

/// NUMA nodes as people type them, and as the kernel lists them: `1`, `0,2`, `0-3,8`.
struct NodeList: Hashable, Sendable {
  /// As they were typed, at least one.
  let nodes: [NodeID]

  /// Reads a list. Whether the nodes exist is the host's matter.
  init(_ text: String) throws(Size.Problem) {
    var nodes: [NodeID] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
      // Else a plus sign would do.
      let numbers = ends.compactMap { $0.allSatisfy(\.isWholeNumber) ? UInt32($0) : nil }
      guard (1...2).contains(ends.count), numbers.count == ends.count,
        let low = numbers.first, let high = numbers.last, low <= high, high < 1024
      else {
        throw Size.Problem(
          description:
            "nodes are numbers from 0 to 1023, such as 1, or a list of them, such as 0,2 "
            + "or 0-3")
      }
      nodes += (low...high).map { NodeID($0) }
    }
    self.nodes = nodes
  }
}
