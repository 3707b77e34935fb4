public import HoldfastCore

/// The NUMA nodes that memory shall come from, and how strictly (QEMU: `host-nodes=` and `policy=`;
/// Linux: mbind(2)).
public struct HostNodes: Hashable, Sendable {
  /// How strictly memory is taken from the nodes.
  public enum Policy: String, Hashable, Sendable, CaseIterable {
    /// From these nodes only; too little memory there is an error (`MPOL_BIND`).
    case bind
    /// From these nodes as long as they have memory, then from others (`MPOL_PREFERRED`).
    case preferred
  }

  /// The nodes in ascending order, at least one.
  public let nodes: [NodeID]
  /// How strictly memory is taken from them.
  public let policy: Policy

  /// Creates a set of nodes, of which duplicates count once.
  ///
  /// - Throws: `HoldfastError` with code `invalidArgument` without a node.
  public init(_ nodes: [NodeID], policy: Policy = .bind) throws(HoldfastError) {
    guard !nodes.isEmpty else {
      throw HoldfastError(
        .invalidArgument, operation: "choose NUMA nodes", reason: "there is no node")
    }
    self.nodes = Set(nodes).sorted()
    self.policy = policy
  }

  private init(only node: NodeID, _ policy: Policy) {
    nodes = [node]
    self.policy = policy
  }

  /// One node only.
  public static func bind(_ node: NodeID) -> HostNodes { HostNodes(only: node, .bind) }

  /// One node as long as it has memory, then others.
  public static func prefer(_ node: NodeID) -> HostNodes { HostNodes(only: node, .preferred) }

  /// `node 1`, `nodes 0 and 2`, `nodes 0, 1 and 2`.
  var words: String {
    let names = nodes.map(\.description)
    guard names.count > 1 else { return "node " + (names.first ?? "none") }
    return "nodes " + names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
  }

  /// Checks that the host has memory on the nodes.
  ///
  /// - Throws: `HoldfastError` with code `host` if a node does not exist, has no memory, or is
  ///   outside of this process's cpuset; it names the nodes with memory.
  package func check(_ host: HostCapabilities) throws(HoldfastError) {
    for id in nodes {
      let reason: String
      if host.nodes.isEmpty {
        reason = "this host reports no NUMA nodes"
      } else if let node = host.node(id) {
        if node.hasMemory { continue }
        reason =
          node.isAllowed
          ? "the node has processors but no memory"
          : "the node is outside of this process's cpuset (Mems_allowed_list)"
      } else {
        reason = "the node does not exist"
      }
      let there = host.memoryNodes.map { node in
        "\(node.id) (\(HostReport.rounded(node.available ?? .zero)) available)"
      }
      throw HoldfastError(
        .host, operation: "allocate from node \(id)",
        reason: reason
          + (there.isEmpty ? "" : "; nodes with memory: " + there.joined(separator: ", ")),
        advice: host.memoryNodes.first.map { .other("a node that exists, such as \($0.id)") }
          ?? .other("memory of any node"))
    }
  }
}

extension HostNodes {
  /// The huge pages that each node lacks to hold its share of `count`. Shares are as even as the
  /// nodes have memory for; what exceeds the memory of all is added to that of the largest.
  package func missingHugePages(
    _ count: PageCount, of size: ByteCount, on host: HostCapabilities
  ) -> [(node: NodeID, pages: PageCount)] {
    let there = nodes.compactMap { host.node($0) }
    let free = there.map { node in
      node.hugePages.first { $0.size == size }?.free.rawValue ?? 0
    }
    let room = zip(there, free).map { node, free in
      free.saturatingSum((node.available ?? .zero).rawValue / size.rawValue)
    }
    let shares = NodeShares.divide(count.rawValue, unit: 1, room: room)
    return there.indices.map { index in
      (there[index].id, PageCount(shares[index] - min(shares[index], free[index])))
    }
  }
}

extension HostCapabilities {
  /// The host as if it had only the memory of some nodes.
  ///
  /// - Parameter nodes: the nodes; nil, or nodes that are only preferred, for the host as it is.
  package func confined(to nodes: HostNodes?) -> HostCapabilities {
    guard let nodes, nodes.policy == .bind else { return self }
    let chosen = self.nodes.filter { nodes.nodes.contains($0.id) }
    var host = self
    let known = chosen.compactMap(\.available)
    if !known.isEmpty {
      let available = known.reduce(ByteCount.zero) { $0 + $1 }
      host.memory.available = min(memory.available ?? memory.free ?? available, available)
    }
    for index in host.hugePages.indices {
      let parts = chosen.compactMap { node in
        node.hugePages.first { $0.size == host.hugePages[index].size }
      }
      let free = parts.reduce(UInt64(0)) { $0.saturatingSum($1.free.rawValue) }
      // The kernel reserves pages of the whole pool, not of a node.
      host.hugePages[index].free = PageCount(min(hugePages[index].unreserved.rawValue, free))
      host.hugePages[index].reserved = .zero
      if let room = hugePages[index].surplusRoom, let available = host.memory.available,
        hugePages[index].size != .zero
      {
        let fitting = available.rawValue / hugePages[index].size.rawValue
        host.hugePages[index].surplusRoom = PageCount(min(room.rawValue, fitting))
      }
      host.hugePages[index].total = PageCount(
        parts.reduce(UInt64(0)) { $0.saturatingSum($1.total?.rawValue ?? 0) })
    }
    return host
  }
}
