internal import HoldfastCore

/// One piece of the memory that a monitor asks for: `4G`, or `4G@1` for memory of NUMA node 1.
struct RunMemory: Hashable, Sendable {
  let size: Size
  /// The node that was typed, or nil.
  let node: NodeID?

  init(size: Size, node: NodeID?) {
    self.size = size
    self.node = node
  }

  init(_ text: String) throws {
    guard let mark = text.lastIndex(of: "@") else {
      size = try Size(text)
      node = nil
      return
    }
    size = try Size(String(text[..<mark]))
    node = try nodeID(String(text[mark...].dropFirst()))
  }
}
