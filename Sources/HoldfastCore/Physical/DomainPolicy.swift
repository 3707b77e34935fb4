/// Which domains frames are allocated from, and in what order (FreeBSD: `domainset(9)`; Linux: the
/// memory policies of `set_mempolicy(2)`).
///
/// Except in a round robin, an allocation uses up a domain, down to its last base page, before it
/// tries the next one: nearness is worth more than large blocks (as in FreeBSD's `vm_page_alloc`).
public struct DomainPolicy: Hashable, Sendable {
  /// Which domain comes first.
  public enum Order: Hashable, Sendable {
    /// The domain of the calling thread's processor, then the others from near to far (FreeBSD:
    /// `DOMAINSET_POLICY_FIRSTTOUCH`; Linux: `MPOL_LOCAL`).
    case firstTouch
    /// Large pages interleaved over the domains, so that a guest is spread evenly (FreeBSD:
    /// `DOMAINSET_POLICY_ROUNDROBIN`; Linux: `MPOL_INTERLEAVE`).
    case roundRobin
    /// The domain of a node, then the others from near to far (FreeBSD: `DOMAINSET_POLICY_PREFER`;
    /// Linux: `MPOL_PREFERRED`).
    case prefer(NodeID)
  }

  /// Which domain comes first.
  public var order: Order
  /// The nodes that frames may be allocated from, or nil for all (FreeBSD: `ds_mask`; Linux:
  /// `MPOL_BIND`). An allocation fails when these have no free frame, whatever the others have.
  public var nodes: Set<NodeID>?

  /// A policy of an order over some nodes, or over all.
  public init(_ order: Order = .firstTouch, nodes: Set<NodeID>? = nil) {
    self.order = order
    self.nodes = nodes
  }

  /// The nearest domain first: the default.
  public static let firstTouch = DomainPolicy(.firstTouch)
  /// Large pages interleaved over all domains.
  public static let roundRobin = DomainPolicy(.roundRobin)

  /// A node's domain first, then the others from near to far.
  public static func prefer(_ node: NodeID) -> DomainPolicy { DomainPolicy(.prefer(node)) }

  /// A node's domain and no other one.
  public static func only(_ node: NodeID) -> DomainPolicy {
    DomainPolicy(.prefer(node), nodes: [node])
  }

  /// Whether frames of a node's domain may be allocated. A domain whose node is not known (nil) is
  /// allowed only where `nodes` is nil.
  public func allows(_ node: NodeID?) -> Bool {
    guard let nodes else { return true }
    return node.map(nodes.contains) ?? false
  }
}
