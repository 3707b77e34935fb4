/// The number of a NUMA node of the host: memory that is as near to some processors as to each other
/// (FreeBSD: a domain, `vm_domain`; Linux: a node). Numbers may have holes.
public struct NodeID: Hashable, Comparable, Sendable {
  public let rawValue: UInt32

  @inlinable
  public init(_ rawValue: UInt32) {
    self.rawValue = rawValue
  }

  @inlinable
  public static func < (left: NodeID, right: NodeID) -> Bool { left.rawValue < right.rawValue }
}

extension NodeID: CustomStringConvertible {
  public var description: String { String(rawValue) }
}
