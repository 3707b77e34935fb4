internal import HoldfastCore

/// A file in a user's folder of leases: `vm1`, or `vm1@1` for memory of NUMA node 1, so that it is
/// known of that node when it is ready again.
struct LeaseFile: Hashable {
  let name: LeaseName
  /// The node that the memory was bound to when it was filled, or nil; behind an `@`, which no name has.
  let node: NodeID?
  /// Whether the lease lasts as long as somebody holds the file's lock, as `holdfast run` does. Such a
  /// lease's file ends in `.run`, which no name can.
  let isHeld: Bool

  private static let ending = ".run"

  init(_ name: LeaseName, node: NodeID?, isHeld: Bool) {
    self.name = name
    self.node = node
    self.isHeld = isHeld
  }

  /// Reads a file's name; nil where no reservoir would have given it.
  init?(_ text: String) {
    isHeld = text.hasSuffix(Self.ending)
    let head = isHeld ? text.dropLast(Self.ending.count) : text[...]
    let parts = head.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = try? LeaseName(String(parts[0])) else { return nil }
    self.name = name
    node = parts.count == 2 ? ReadyName.node(parts[1]) : nil
    // There is one way to write it, so that no two mean the same.
    guard self.text == text else { return nil }
  }

  var text: String {
    name.text + (node.map { "@\($0.rawValue)" } ?? "") + (isHeld ? Self.ending : "")
  }
}
