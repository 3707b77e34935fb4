internal import HoldfastCore
internal import HoldfastLinux

/// What a command will allocate from this host.
struct WirePlan {
  /// The guest's memory.
  let memory: ByteCount
  /// Nil for the best backing that has room when the arena is created.
  let backing: Backing?
  /// The nodes that the memory comes from, or nil for any.
  let nodes: HostNodes?
  /// The huge pages to add to the pools first, and their size.
  let missing: (pages: PageCount, pageSize: ByteCount)?
  /// The pools that get them, and how many each gets.
  let shares: [(pool: HugePagePool, pages: PageCount)]

  /// Chooses a size if none is given and, if huge pages are to be added, their size and number.
  init(
    _ host: HostCapabilities, memory: ByteCount?, backing option: BackingOption,
    nodes: HostNodes? = nil, reserve: Bool
  ) throws(HoldfastError) {
    try nodes?.check(host)
    let whole = host
    let host = host.confined(to: nodes)
    self.nodes = nodes
    let memory = memory ?? DefaultMemory(host).bytes(for: option, reserving: reserve)
    self.memory = memory
    guard reserve else {
      backing = option.backing
      missing = nil
      shares = []
      return
    }
    let backing = option.backing ?? WirePlan.poolWithRoom(host, memory) ?? .hugetlb2M
    self.backing = backing
    guard let page = backing.hugePageSize else {
      missing = nil
      shares = []
      return
    }
    let count = try WirePlan.missing(host, memory, page: page)
    guard let nodes else {
      missing = (count, page)
      shares = [(HugePagePool(size: page), count)]
      return
    }
    shares = nodes.missingHugePages(PageCount(memory.rawValue / page.rawValue), of: page, on: whole)
      .map { (HugePagePool(size: page, node: $0.node), $0.pages) }
    missing = (shares.reduce(.zero) { $0 + $1.pages }, page)
  }

  /// The pool that already has room for all the memory; as in an arena, larger pages come first.
  private static func poolWithRoom(_ host: HostCapabilities, _ memory: ByteCount) -> Backing? {
    [Backing.hugetlb1G, .hugetlb2M].first { backing in
      guard let page = backing.hugePageSize, memory.isMultiple(of: page) else { return false }
      return host.hugePages.contains { $0.size == page && $0.availableBytes >= memory }
    }
  }

  private static func missing(
    _ host: HostCapabilities, _ memory: ByteCount, page: ByteCount
  ) throws(HoldfastError) -> PageCount {
    // Adding pages to a pool that the kernel does not have is an error of its own.
    guard let pool = host.hugePages.first(where: { $0.size == page }) else { return .one }
    // No size of the pool helps then.
    if let limit = pool.cgroup, limit.remaining < memory {
      throw HoldfastError(
        .resourceShortage, operation: "reserve huge pages",
        reason: "\(memory) is needed, but \(limit.words)",
        advice: .other("a higher limit: \(limit.file), or --backing thp"))
    }
    let needed = PageCount(memory.rawValue / page.rawValue)
    return needed - min(needed, pool.available)
  }
}
