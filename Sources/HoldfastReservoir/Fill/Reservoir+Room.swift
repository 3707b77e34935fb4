internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Refuses a size for which the pool, the mount or the host's memory evidently has no room.
  func checkRoom(
    _ size: ByteCount, _ node: NodeID?, _ operation: String
  ) throws(HoldfastError) {
    guard size > .zero else { return }
    if let free = try mountRoom(operation), free < size {
      throw HoldfastError(
        .resourceShortage, operation: operation,
        reason: "\(size) is needed, but the size limit of the file system at \(mount) leaves "
          + HostReport.rounded(free),
        advice: .raiseLimit("the mount option size= of \(mount)"))
    }
    let needed = size.rawValue / pageSize.rawValue
    if isHugetlb {
      let available = try pages(node)
      guard available < needed else { return }
      throw HoldfastError(
        .resourceShortage, operation: operation,
        reason: "\(needed) huge pages of \(pageSize) are needed, but \(available) are free",
        advice: .reserveHugePages([goal(missing: needed - available, node)]))
    }
    let available = HostProbe().host().availableForGuests
    if available < size {
      throw HoldfastError(
        .resourceShortage, operation: operation,
        reason: "\(size) is needed, but the host has \(HostReport.rounded(available)) available",
        advice: .requestLess(than: available))
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
    let available = try pages(node)
    guard needed > available else { return nil }
    return try HugePagePool(size: pageSize, node: node).increase(by: PageCount(needed - available))
  }

  /// The number of pages with which the pool would suffice.
  private func goal(missing: UInt64, _ node: NodeID?) -> Advice.HugePageGoal {
    let pool = HugePagePool(size: pageSize, node: node)
    let total = (try? pool.counts())?.total?.rawValue ?? 0
    return Advice.HugePageGoal(
      pageSize: pageSize, node: node, path: pool.path, count: total + missing)
  }

  private func pages(_ node: NodeID?) throws(HoldfastError) -> UInt64 {
    let all = try HugePagePool(size: pageSize).available.rawValue
    // The kernel reserves pages of the whole pool, not of a node.
    guard let node else { return all }
    return min(all, try HugePagePool(size: pageSize, node: node).available.rawValue)
  }

  private func mountRoom(_ operation: String) throws(HoldfastError) -> ByteCount? {
    try during(operation, "cannot stat the file system at \(mount)") { () throws(Errno) in
      try ready.fileSystem().free
    }
  }
}
