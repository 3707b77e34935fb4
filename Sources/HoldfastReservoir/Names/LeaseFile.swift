internal import HoldfastCore

/// The name of a file in a user's folder of leases: `vm1`, or `vm1@1` for memory of NUMA node 1, so
/// that the node is known when the memory is recycled.
struct LeaseFile: Hashable {
  let name: LeaseName
  /// The node that the memory was bound to when it was filled, or nil. It follows an `@`, which a
  /// lease's name cannot contain.
  let node: NodeID?
  /// Whether the lease lasts as long as a process holds the file's lock, as `holdfast run` does.
  /// The file of such a lease ends in `.run`, with which a lease's name cannot end.
  let isHeld: Bool

  private static let ending = ".run"

  init(_ name: LeaseName, node: NodeID?, isHeld: Bool) {
    self.name = name
    self.node = node
    self.isHeld = isHeld
  }

  /// Reads a file's name; nil where a reservoir does not generate such names.
  init?(_ text: String) {
    isHeld = text.hasSuffix(Self.ending)
    let head = isHeld ? text.dropLast(Self.ending.count) : text[...]
    let parts = head.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = try? LeaseName(String(parts[0])) else { return nil }
    self.name = name
    node = parts.count == 2 ? ReadyName.node(parts[1]) : nil
    // Each value has one spelling, so that no two names mean the same.
    guard self.text == text else { return nil }
  }

  var text: String {
    name.text + (node.map { "@\($0.rawValue)" } ?? "") + (isHeld ? Self.ending : "")
  }
}
