internal import HoldfastCore

/// A part of an arena: the memory of one allocator domain.
struct ArenaPart: Hashable, Sendable {
  /// The range in the arena's file.
  let bytes: Range<UInt64>
  /// The node that the memory comes from, or nil where the kernel chooses.
  let node: NodeID?
  /// How the part is bound to its node, or nil where it is not: the host has only one node, or
  /// refused.
  var policy: HostNodes.Policy?
  /// The node's processors that this process may run on; empty if there are none, or nothing to
  /// choose.
  let processors: [UInt32]

  /// The same part with memory up to `end`.
  func extended(to end: ByteCount) -> ArenaPart {
    ArenaPart(
      bytes: bytes.lowerBound..<end.rawValue, node: node, policy: policy, processors: processors)
  }

  /// Whether every page is certain to be on the node.
  var isStrict: Bool { node != nil && policy != .preferred }
}
