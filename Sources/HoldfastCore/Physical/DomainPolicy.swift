/// From which domains frames are taken, and in what order (FreeBSD: `domainset(9)`; Linux: the
/// memory policies of `set_mempolicy(2)`).
///
/// A domain is used up before the next one is tried, down to its last base page: nearness counts for
/// more than the size of blocks (as in FreeBSD's `vm_page_alloc`).
public struct DomainPolicy: Hashable, Sendable {
  /// Which domain comes first.
  public enum Order: Hashable, Sendable {
    /// That of the processor that asks, then the others from near to far (FreeBSD:
    /// `DOMAINSET_POLICY_FIRSTTOUCH`; Linux: `MPOL_LOCAL`).
    case firstTouch
    /// Each in turn, large page by large page, so that a guest is spread evenly (FreeBSD:
    /// `DOMAINSET_POLICY_ROUNDROBIN`; Linux: `MPOL_INTERLEAVE`).
    case roundRobin
    /// That of a node, then the others from near to far (FreeBSD: `DOMAINSET_POLICY_PREFER`; Linux:
    /// `MPOL_PREFERRED`).
    case prefer(NodeID)
  }

  public var order: Order
  /// The nodes that may be taken from, or nil for all (FreeBSD: `ds_mask`; Linux: `MPOL_BIND`). Where
  /// they have no frame left there is none, whatever others have.
  public var nodes: Set<NodeID>?

  public init(_ order: Order = .firstTouch, nodes: Set<NodeID>? = nil) {
    self.order = order
    self.nodes = nodes
  }

  /// The nearest domain first; what is used unless said otherwise.
  public static let firstTouch = DomainPolicy(.firstTouch)
  /// All domains in turn.
  public static let roundRobin = DomainPolicy(.roundRobin)

  /// A node's domain first, then the others from near to far.
  public static func prefer(_ node: NodeID) -> DomainPolicy { DomainPolicy(.prefer(node)) }

  /// A node's domain and no other.
  public static func only(_ node: NodeID) -> DomainPolicy {
    DomainPolicy(.prefer(node), nodes: [node])
  }

  /// Whether frames of a domain of this node may be taken. A domain whose node is not known is as
  /// good as none of those that are named.
  public func allows(_ node: NodeID?) -> Bool {
    guard let nodes else { return true }
    return node.map(nodes.contains) ?? false
  }
}

/// How the nodes lie to each other, and which one the caller runs on.
public struct NodeTopology: Sendable {
  /// The distance from one node to another; what is missing counts as remote.
  let distances: [NodeID: [NodeID: Int]]
  /// The node of the processor that runs the caller, or nil where that is not known. Called at each
  /// allocation by first touch where there are several domains.
  let local: @Sendable () -> NodeID?

  /// The distances of a node to itself and to another as firmware counts them (ACPI: SLIT).
  static let near = 10
  static let remote = 20

  public init(
    distances: [NodeID: [NodeID: Int]] = [:], local: @escaping @Sendable () -> NodeID? = { nil }
  ) {
    self.distances = distances
    self.local = local
  }

  func distance(from node: NodeID, to other: NodeID?) -> Int {
    guard let other else { return .max }
    return distances[node]?[other] ?? (node == other ? Self.near : Self.remote)
  }
}
