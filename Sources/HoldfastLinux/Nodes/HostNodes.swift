public import HoldfastCore

/// The NUMA nodes that memory is to come from, and how strictly (QEMU: `host-nodes=` and `policy=`).
public struct HostNodes: Hashable, Sendable {
  /// How strictly.
  public enum Policy: String, Hashable, Sendable, CaseIterable {
    /// From these nodes and no others: where they have too little it is an error (`MPOL_BIND`).
    case bind
    /// From these nodes while they have memory, then from others (`MPOL_PREFERRED`).
    case preferred
  }

  /// In ascending order, at least one.
  public let nodes: [NodeID]
  public let policy: Policy

  /// The nodes of a list that is not empty, each counted once.
  public init(_ nodes: [NodeID], policy: Policy = .bind) {
    precondition(!nodes.isEmpty, "memory comes from somewhere")
    self.nodes = Set(nodes).sorted()
    self.policy = policy
  }

  /// One node and no other.
  public static func bind(_ node: NodeID) -> HostNodes { HostNodes([node]) }

  /// `node 1`, `nodes 0 and 2`, `nodes 0, 1 and 2`.
  var words: String { HostNodes.words(nodes) }

  static func words(_ nodes: [NodeID]) -> String {
    let names = nodes.map(\.description)
    guard names.count > 1 else { return "node " + (names.first ?? "none") }
    return "nodes " + names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
  }

  /// Looks the nodes up.
  ///
  /// - Throws: `HoldfastError` where one does not exist, has no memory, or is ruled out by a cpuset, which
  ///   names what there is.
  package func check(_ host: HostCapabilities) throws(HoldfastError) {
    for id in nodes {
      let reason: String
      if host.nodes.isEmpty {
        reason = "this host tells of no NUMA nodes"
      } else if let node = host.node(id) {
        if node.hasMemory { continue }
        reason =
          node.isAllowed
          ? "the node has processors and no memory"
          : "the cpuset of this process rules the node out (Mems_allowed_list)"
      } else {
        reason = "there is no such node"
      }
      let there = host.memoryNodes.map { node in
        "node \(node.id) with \(HostReport.rounded(node.available ?? .zero)) available"
      }
      throw HoldfastError(
        .host, operation: "allocate from node \(id)",
        reason: reason + (there.isEmpty ? "" : "; there is " + there.joined(separator: ", ")),
        advice: host.memoryNodes.first.map { .other("a node that exists, such as \($0.id)") }
          ?? .other("no node: the memory then comes from any"))
    }
  }
}

extension HostNodes {
  /// The huge pages that each node lacks to hold its share of `count`, a share being as even as nodes
  /// have memory for. Where nodes are only preferred, what they have no memory for is asked of the
  /// last one, and its error.
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
  /// - Parameter nodes: nil for the host as it is, as where others may help out.
  package func confined(to nodes: HostNodes?) -> HostCapabilities {
    guard let nodes, nodes.policy == .bind else { return self }
    let chosen = self.nodes.filter { nodes.nodes.contains($0.id) }
    var host = self
    let available = chosen.reduce(ByteCount.zero) { $0.saturatingSum($1.available ?? .zero) }
    host.memory.available = min(memory.available ?? memory.free ?? .zero, available)
    for index in host.hugePages.indices {
      let parts = chosen.compactMap { node in
        node.hugePages.first { $0.size == host.hugePages[index].size }
      }
      let free = parts.reduce(UInt64(0)) { $0.saturatingSum($1.free.rawValue) }
      // The kernel promises pages of the whole pool, not of a node.
      host.hugePages[index].free = PageCount(min(hugePages[index].unpromised.rawValue, free))
      host.hugePages[index].reserved = .zero
      host.hugePages[index].total = PageCount(
        parts.reduce(UInt64(0)) { $0.saturatingSum($1.total?.rawValue ?? 0) })
    }
    return host
  }
}

extension UInt64 {
  func saturatingSum(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
