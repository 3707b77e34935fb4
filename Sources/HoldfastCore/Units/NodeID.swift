/// The number of a NUMA node of the host: memory that is equally near to some processors (FreeBSD:
/// a domain, `vm_domain`; Linux: a node). Numbers may have gaps.
public struct NodeID: UnitValue, Codable {
  /// The number that Linux gives the node.
  public let rawValue: UInt32

  /// The node that Linux gives a number.
  @inlinable
  public init(_ rawValue: UInt32) {
    self.rawValue = rawValue
  }
}
