internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Refuses a size for which the mount, the cgroup, the pool or the host's memory evidently has no
  /// room.
  ///
  /// - Parameter raisesPool: whether the caller raises the pool by the pages that it lacks.
  func checkRoom(
    _ size: ByteCount, _ node: NodeID?, _ operation: String, raisesPool: Bool = false
  ) throws(HoldfastError) {
    guard size > .zero else { return }
    if let free = try mountRoom(operation), free < size {
      throw HoldfastError(
        .resourceShortage, operation: operation,
        reason: "\(size) is needed, but the size limit of the file system at \(mount) leaves "
          + HostReport.rounded(free),
        advice: .raiseLimit("the mount option size= of \(mount)"))
    }
    let host = HostProbe().host().confined(to: node.map { .bind($0) })
    // A cgroup's limit comes first: neither a larger pool nor more memory helps then.
    let limit =
      isHugetlb
      ? pool(of: host)?.cgroup.flatMap { $0.remaining < size ? $0 : nil }
      : host.memoryLimit(refusing: size)
    if let limit {
      throw HoldfastError(
        .resourceShortage, operation: operation,
        reason: "\(size) is needed, but \(limit.words)",
        advice: limit.advice)
    }
    if isHugetlb {
      if !raisesPool { try checkPool(size, node, host, operation) }
    } else if let available = host.roomForGuests, available < size {
      throw HoldfastError(
        .resourceShortage, operation: operation,
        reason: "\(size) is needed, but the host has \(HostReport.rounded(available)) available",
        advice: .requestLess(than: available))
    }
  }

  /// Refuses a size that this process may not give a file.
  func checkFileSize(_ size: ByteCount, _ operation: String) throws(HoldfastError) {
    guard let limit = ResourceLimits.fileSize, size > limit else { return }
    throw HoldfastError(
      .resourceShortage, operation: operation,
      reason: "a file of \(size) is needed, but \(ResourceLimits.fileSizeWords)",
      errno: Errno.fileTooLarge.rawValue, advice: ResourceLimits.fileSizeAdvice)
  }

  /// The error for memory, or a size of a file, that the kernel refuses although the checks found
  /// nothing. The caller has freed what it got, so that it does not count.
  ///
  /// - Parameters:
  ///   - size: the bytes that were to be populated.
  ///   - problem: what failed, as a phrase.
  ///   - outcome: what remains, as a phrase, or nil.
  func refusal(
    _ error: Errno, of size: ByteCount, _ node: NodeID?, _ operation: String, _ problem: String,
    outcome: String? = nil
  ) -> HoldfastError {
    let outcome = outcome.map { "; \($0)" } ?? ""
    func refused(_ reason: String, _ advice: Advice?) -> HoldfastError {
      HoldfastError(
        .resourceShortage, operation: operation, reason: "\(problem): \(reason)\(outcome)",
        errno: error.rawValue, advice: advice)
    }
    switch error {
    case .fileTooLarge:
      return refused(ResourceLimits.fileSizeWords, ResourceLimits.fileSizeAdvice)
    case .noMemory, .noSpace:
      do throws(HoldfastError) {
        try checkRoom(size, node, operation)
      } catch let found {
        return refused(found.reason, found.advice)
      }
      if let words = ResourceLimits.addressWords(for: size) {
        return refused(words, ResourceLimits.addressAdvice)
      }
      let host = HostProbe().host().confined(to: node.map { .bind($0) })
      let there =
        pool(of: host).map { "huge pages of \(pageSize) although \($0.obtainableWords)" }
        ?? "memory although \(HostReport.rounded(host.availableForGuests)) are available"
      // The files of a container's cgroup may not be mounted in it.
      return refused(
        "the kernel refuses \(there), so a limit applies that is not visible here, such as that of "
          + "a container's cgroup",
        .raiseLimit("that of the \(isHugetlb ? "hugetlb" : "memory") cgroup or cpuset"))
    default:
      return HoldfastError(errno: error, operation: operation, reason: problem + outcome)
    }
  }

  /// Raises the pool by the huge pages that a file lacks.
  ///
  /// - Returns: nil where the file lacks none.
  func reserve(
    _ size: ByteCount, _ node: NodeID?, _ operation: String
  ) throws(HoldfastError) -> HugePagePoolIncrease? {
    guard isHugetlb else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "the reservoir is on tmpfs, which takes no huge pages from a pool",
        advice: .other("without reserving huge pages"))
    }
    let needed = size.rawValue / pageSize.rawValue
    let host = HostProbe().host().confined(to: node.map { .bind($0) })
    let available = available(pool(of: host), own: ownPages)
    guard needed > available else { return nil }
    return try HugePagePool(size: pageSize, node: node).increase(by: PageCount(needed - available))
  }

  /// Refuses a size for which the pool has too few pages.
  private func checkPool(
    _ size: ByteCount, _ node: NodeID?, _ host: HostCapabilities, _ operation: String
  ) throws(HoldfastError) {
    guard let pool = pool(of: host) else {
      _ = try HugePagePool(size: pageSize, node: node).counts()
      return
    }
    let needed = size.rawValue / pageSize.rawValue
    let own = ownPages
    let available = available(pool, own: own)
    guard available < needed else { return }
    throw HoldfastError(
      .resourceShortage, operation: operation,
      reason: "\(needed) huge pages of \(pageSize) are needed, but \(pool.obtainableWords)"
        + (own == 0 ? "" : ", and \(own) are reserved for \(mount)"),
      advice: .reserveHugePages([goal(missing: needed - available, node)]))
  }

  /// The pool that the reservoir's pages come from, or nil where it is on tmpfs, or the kernel has
  /// no such pool.
  private func pool(of host: HostCapabilities) -> HostCapabilities.HugePages? {
    isHugetlb ? host.hugePages.first { $0.size == pageSize } : nil
  }

  private func available(_ pool: HostCapabilities.HugePages?, own: UInt64) -> UInt64 {
    own + min((pool?.obtainable ?? .zero).rawValue, .max - own)
  }

  /// The pages that the pool reserves for the mount (`min_size=`) and that none of its files has.
  /// They do not count as free.
  private var ownPages: UInt64 {
    guard let minimum = HugetlbMounts.minimumSize(of: mount) else { return 0 }
    // Without `size=` the use is unknown. Then mmap(2) refuses what is too much.
    let system = try? ready.fileSystem()
    let used = system?.total.map { $0 - min($0, system?.free ?? .zero) } ?? .zero
    return (minimum - min(minimum, used)).rawValue / pageSize.rawValue
  }

  /// The number of pages with which the pool would suffice.
  private func goal(missing: UInt64, _ node: NodeID?) -> Advice.HugePageGoal {
    let pool = HugePagePool(size: pageSize, node: node)
    let total = (try? pool.counts())?.total?.rawValue ?? 0
    return Advice.HugePageGoal(
      pageSize: pageSize, node: node, path: pool.path,
      count: total + min(missing, .max - total))
  }

  private func mountRoom(_ operation: String) throws(HoldfastError) -> ByteCount? {
    try during(operation, "cannot stat the file system at \(mount)") { () throws(Errno) in
      try ready.fileSystem().free
    }
  }
}
