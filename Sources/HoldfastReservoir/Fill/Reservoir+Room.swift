internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Refuses what the pool, the mount or the host's memory plainly has no room for.
  func checkRoom(
    _ size: ByteCount, _ node: NodeID?, _ operation: String
  ) throws(ReservoirError) {
    guard size > .zero else { return }
    if let free = try mountRoom(operation), free < size {
      throw ReservoirError(
        .shortage, operation: operation,
        what:
          "\(size) is needed and the file system in \(mount) has \(free) left of its size limit",
        advice: "less, or a mount with a larger size=")
    }
    let needed = size.rawValue / pageSize.rawValue
    if isHugetlb {
      let available = try pages(node)
      guard available < needed else { return }
      throw ReservoirError(
        .shortage, operation: operation,
        what: "\(needed) huge pages of \(pageSize) are needed and \(available) are free",
        advice: "less, or as root --reserve-hugepages, which raises the pool by what is missing")
    }
    let available = HostProbe().host().availableForGuests
    if available < size {
      throw ReservoirError(
        .shortage, operation: operation,
        what: "\(size) is needed and the host has \(HostReport.rounded(available)) available",
        advice: "less, or the end of other programs")
    }
  }

  /// Raises the pool by what a file lacks.
  func reserve(
    _ size: ByteCount, _ node: NodeID?, _ operation: String
  ) throws(ReservoirError) -> HugePagePoolIncrease? {
    guard isHugetlb else {
      throw ReservoirError(
        .badSize, operation: operation,
        what: "this reservoir is on tmpfs, which takes no huge pages from a pool",
        advice: "without --reserve-hugepages")
    }
    let needed = size.rawValue / pageSize.rawValue
    let available = try pages(node)
    guard needed > available else { return nil }
    do throws(HostError) {
      return try HugePagePool(size: pageSize, node: node).reserve(PageCount(needed - available))
    } catch {
      throw ReservoirError(error)
    }
  }

  private func pages(_ node: NodeID?) throws(ReservoirError) -> UInt64 {
    do throws(HostError) {
      let all = try HugePagePool(size: pageSize).available.rawValue
      // Promises are of the whole pool, not of a node.
      guard let node else { return all }
      return min(all, try HugePagePool(size: pageSize, node: node).available.rawValue)
    } catch {
      throw ReservoirError(error)
    }
  }

  private func mountRoom(_ operation: String) throws(ReservoirError) -> ByteCount? {
    try during(operation, "\(mount) tells nothing of its room") { () throws(Errno) in
      try ready.fileSystem().free
    }
  }
}
