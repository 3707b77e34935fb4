internal import HoldfastCore

/// The name of a ready file, which states its size: `10G-6f2a…`, or `10G@1-6f2a…` for memory of
/// NUMA node 1.
///
/// A name is used once; a recycled file gets another one. A process that has looked up a name
/// therefore renames that very file or none.
struct ReadyName: Hashable, Comparable {
  let size: ByteCount
  /// The node that the memory was bound to, or nil for any.
  let node: NodeID?
  let id: String

  init(size: ByteCount, node: NodeID?) {
    self.size = size
    self.node = node
    id = RandomID.text()
  }

  /// Reads a name; nil where a reservoir does not generate such names.
  init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[1].utf8.count == 16 else { return nil }
    let head = parts[0].split(separator: "@", omittingEmptySubsequences: false)
    guard (1...2).contains(head.count), let size = Self.size(head[0]) else { return nil }
    if head.count == 2 {
      guard let node = Self.node(head[1]) else { return nil }
      self.node = node
    } else {
      node = nil
    }
    self.size = size
    id = String(parts[1])
    // Each value has one spelling, so that no two names mean the same.
    guard self.text == text, id.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
  }

  var text: String {
    size.shortDescription + (node.map { "@\($0.rawValue)" } ?? "") + "-" + id
  }

  private static let units: [(shift: UInt64, unit: String)] = [
    (40, "T"), (30, "G"), (20, "M"), (10, "K"),
  ]

  /// Reads the number of a node, which is below the kernel's MAX_NUMNODES.
  static func node(_ text: Substring) -> NodeID? {
    guard let number = UInt32(digits: text), number < 1024 else { return nil }
    return NodeID(number)
  }

  private static func size(_ text: Substring) -> ByteCount? {
    let shift = units.first { $0.unit == text.suffix(1) }?.shift ?? 0
    guard let number = UInt64(digits: shift == 0 ? text : text.dropLast()) else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    return overflow || bytes == 0 ? nil : ByteCount(bytes)
  }

  static func < (left: ReadyName, right: ReadyName) -> Bool {
    (left.size, left.text) < (right.size, right.text)
  }
}
