internal import HoldfastCore
internal import SystemPackage

/// The backing of an arena, and the errors for one that the host cannot provide.
struct BackingChoice {
  let backing: Backing
  /// The size, rounded up to the backing's page.
  let size: ByteCount
  /// Why better backings were not used.
  let fallbacks: [String]
  /// The only nodes that the memory may come from, or nil for any.
  let nodes: HostNodes?

  /// The memory that an arena without hugetlb pages leaves to the host.
  private static let margin = ByteCount.mebibytes(64)

  /// A backing that the kernel refused although the probe found enough memory, and why.
  typealias Refusal = (backing: Backing, problem: String)

  /// Takes the wanted backing, or the best that serves the purpose, that `host` has room for and
  /// that the kernel has not refused.
  ///
  /// - Throws: `HoldfastError` where the host or the wanted backing cannot serve the purpose, where
  ///   too little memory is free, or where the nodes are wrong.
  init(
    size: ByteCount, for purpose: ArenaPurpose = .wiring, wanted: Backing?,
    nodes: HostNodes? = nil, host: HostCapabilities, refused: [Refusal] = []
  ) throws(HoldfastError) {
    try purpose.check(wanted, size, host)
    try nodes?.check(host)
    guard size > .zero else {
      throw HoldfastError(
        .host, operation: "prepare an arena", reason: "the size is 0",
        advice: .requestAtLeast(.kibibytes(4)))
    }
    let disabled = host.transparentHugePages.processProblem
    if let wanted {
      // The kernel gives base pages then.
      let problem = wanted.isTransparentHuge ? disabled : nil
      self = try BackingChoice(size, wanted, nodes, host, fallbacks: problem.map { [$0] } ?? [])
      return
    }
    var fallbacks: [String] = []
    for backing in purpose.backings where backing != .base {
      // A guest of another size would waste the rest of the last huge page.
      if let page = backing.hugePageSize, !size.isMultiple(of: page) {
        fallbacks.append("\(backing.rawValue): \(size) is not a multiple of \(page)")
        continue
      }
      if let refusal = refused.first(where: { $0.backing == backing }) {
        fallbacks.append("\(backing.rawValue): \(refusal.problem)")
        continue
      }
      if backing.isTransparentHuge, let disabled {
        fallbacks.append("\(backing.rawValue): \(disabled)")
        continue
      }
      do throws(HoldfastError) {
        self = try BackingChoice(size, backing, nodes, host, fallbacks: fallbacks)
        return
      } catch {
        fallbacks.append("\(backing.rawValue): \(error.reason)")
      }
    }
    self = try BackingChoice(size, .base, nodes, host, fallbacks: fallbacks)
  }

  private init(
    _ size: ByteCount, _ backing: Backing, _ nodes: HostNodes?, _ host: HostCapabilities,
    fallbacks: [String]
  ) throws(HoldfastError) {
    let operation = "prepare an arena of \(size) (\(backing.rawValue))"
    guard let rounded = size.roundedUp(to: backing.geometry.pageSize),
      rounded.rawValue <= UInt64(Int64.max)
    else {
      throw HoldfastError(
        .host, operation: operation, reason: "the size exceeds every address space",
        advice: .requestLess(than: host.availableForGuests))
    }
    self.backing = backing
    self.size = rounded
    self.fallbacks = fallbacks
    self.nodes = nodes?.policy == .bind ? nodes : nil
    if !backing.hasFile, let several = nodes, several.nodes.count > 1 {
      throw HoldfastError(
        .host, operation: operation,
        reason: "this backing cannot divide a guest's memory among \(several.words)",
        advice: .useBacking([.hugetlb2M, .thp, .base]))
    }
    if backing.hugePageSize != nil {
      try checkHugePages(operation, host)
    } else {
      try checkOrdinary(operation, host)
    }
  }

  /// The length of the addresses for an arena that may grow to `maximum`, if that is larger.
  func length(_ maximum: ByteCount, _ operation: String) throws(HoldfastError) -> ByteCount {
    guard let length = max(size, maximum).roundedUp(to: backing.geometry.pageSize),
      length.rawValue <= UInt64(Int64.max)
    else {
      throw HoldfastError(
        .host, operation: operation, reason: "the maximum exceeds every address space",
        advice: .requestLess(than: .tebibytes(64)))
    }
    return length
  }

  private func checkHugePages(_ operation: String, _ host: HostCapabilities) throws(HoldfastError) {
    guard let page = backing.hugePageSize else { return }
    let needed = size.rawValue / page.rawValue
    guard let pool = host.confined(to: nodes).hugePages.first(where: { $0.size == page }) else {
      throw HoldfastError(
        .host, operation: operation, reason: "this host has no hugetlb pages of \(page)",
        advice: .useBacking([.thp, .base]))
    }
    if let error = shortage(of: pool, needed, operation, host) { throw error }
  }

  /// The error for too few huge pages, or nil if there are enough. A larger pool does not help a
  /// process whose cgroup has reached its limit.
  func shortage(
    of pool: HostCapabilities.HugePages, _ needed: UInt64, _ operation: String,
    _ host: HostCapabilities, _ errno: Errno? = nil
  ) -> HoldfastError? {
    let pages = "\(BackingChoice.pages(needed, of: pool.size, "hugetlb ")) needed"
    if let limit = pool.cgroup, limit.remaining < size {
      return HoldfastError(
        .host, operation: operation, reason: "\(pages), but \(limit.words)",
        errno: errno?.rawValue, advice: limit.advice)
    }
    let free = pool.obtainable.rawValue
    guard free < needed else { return nil }
    return HoldfastError(
      .host, operation: operation,
      reason: "\(pages), \(pool.obtainableWords)" + location(host), errno: errno?.rawValue,
      advice: .reserveHugePages(goals(missing: needed - free, pool, host)))
  }

  /// The sizes of the pools that would be enough, with the missing pages divided among the nodes.
  private func goals(
    missing: UInt64, _ pool: HostCapabilities.HugePages, _ host: HostCapabilities
  ) -> [Advice.HugePageGoal] {
    guard let nodes = nodes?.nodes else {
      return [
        Advice.HugePageGoal(
          pageSize: pool.size, node: nil, path: HugePagePool(size: pool.size).path,
          count: (pool.total?.rawValue ?? 0).saturatingSum(missing))
      ]
    }
    let shares = NodeShares.divide(missing, unit: 1, room: nodes.map { _ in .max })
    return zip(nodes, shares).compactMap { node, share in
      guard share > 0 else { return nil }
      let total = host.node(node)?.hugePages.first { $0.size == pool.size }?.total?.rawValue ?? 0
      return Advice.HugePageGoal(
        pageSize: pool.size, node: node, path: HugePagePool(size: pool.size, node: node).path,
        count: total.saturatingSum(share))
    }
  }

  /// ` on node 1, node 0 has 12`: the nodes that the memory may come from, and what others have;
  /// empty if it may come from any.
  func location(_ host: HostCapabilities) -> String {
    guard let nodes else { return "" }
    let others = host.memoryNodes.filter { !nodes.nodes.contains($0.id) }
    return " on \(nodes.words)"
      + others.map { node in
        let room = node.room(for: backing)
        let has = backing.hugePageSize.map { "\(room.rawValue / $0.rawValue)" }
        return ", node \(node.id) has " + (has ?? HostReport.rounded(room))
      }.joined()
  }

  static func pages(_ count: UInt64, of size: ByteCount, _ kind: String = "") -> String {
    "\(count) \(kind)" + (count == 1 ? "page of \(size) is" : "pages of \(size) are")
  }

  private func checkOrdinary(_ operation: String, _ host: HostCapabilities) throws(HoldfastError) {
    if backing == .thp {
      let mode = host.transparentHugePages.sharedMemory
      guard mode?.givesHugePages == true else {
        throw HoldfastError(
          .host, operation: operation,
          reason: "transparent huge pages are off for shared memory (shmem_enabled is "
            + "\(mode?.rawValue ?? "missing"))",
          advice: .set(path: host.transparentHugePages.sharedMemoryPath, value: "advise"))
      }
    }
    if backing == .thpPrivate {
      let mode = host.transparentHugePages.privateMemory
      guard let mode, mode != .never else {
        throw HoldfastError(
          .host, operation: operation,
          reason: "transparent huge pages are off for private memory (enabled is "
            + "\(host.transparentHugePages.privateMemory?.rawValue ?? "missing"))",
          advice: .set(path: host.transparentHugePages.privateMemoryPath, value: "madvise"))
      }
    }
    if let error = shortage(operation, host) { throw error }
  }

  /// The error for too little ordinary memory, or nil if there is enough or that is unknown.
  func shortage(
    _ operation: String, _ host: HostCapabilities, _ errno: Errno? = nil
  ) -> HoldfastError? {
    guard let available = host.confined(to: nodes).roomForGuests else { return nil }
    let needed = size.rawValue.addingReportingOverflow(Self.margin.rawValue)
    guard needed.overflow || needed.partialValue > available.rawValue else { return nil }
    let count = size.rawValue / backing.mappedPageSize.rawValue
    let pages = "\(BackingChoice.pages(count, of: backing.mappedPageSize)) needed"
    if let limit = host.cgroup.memory, limit.remaining <= available {
      return HoldfastError(
        .host, operation: operation,
        reason: "\(pages), but \(limit.words), of which \(Self.margin) are kept free",
        errno: errno?.rawValue, advice: limit.advice)
    }
    return HoldfastError(
      .host, operation: operation,
      reason: "\(pages), \(available.rawValue / backing.mappedPageSize.rawValue) are available "
        + "(\(available.rawValue >> 20) MiB, of which \(Self.margin) are kept for the host)"
        + location(host),
      errno: errno?.rawValue, advice: .requestLess(than: available))
  }
}
