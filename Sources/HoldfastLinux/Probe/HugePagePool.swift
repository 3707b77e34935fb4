public import HoldfastCore
internal import SystemPackage

/// The kernel's pool of huge pages of one size, or the part of it on one NUMA node
/// (`nr_hugepages`).
///
/// Counts are of pages of ``size``. To raise or lower a pool takes a read and a write, which the
/// kernel does not make atomic. Processes that use this type exclude each other by a lock; another
/// process can still interfere.
public struct HugePagePool: Sendable {
  /// The size of a page.
  public let size: ByteCount
  /// The node, or nil for the whole pool, where the kernel chooses the nodes of new pages.
  public let node: NodeID?
  let files: HostFiles

  /// Creates a pool of pages of `size`, with the kernel's files under `root`: `/` for this host.
  public init(size: ByteCount, node: NodeID? = nil, root: String = "/") {
    self.init(size: size, node: node, files: HostFiles(root: root))
  }

  /// Creates a pool of pages of `size` in the given files.
  package init(size: ByteCount, node: NodeID? = nil, files: HostFiles) {
    self.size = size
    self.node = node
    self.files = files
  }

  /// The path of the kernel's file that sets the pool's size.
  public var path: String {
    HostFiles.poolDirectory(of: size, node: node?.rawValue) + "/nr_hugepages"
  }

  private var nodeSuffix: String { node.map { " on node \($0)" } ?? "" }

  /// The current counts.
  ///
  /// - Throws: `HoldfastError` with code `host` if the kernel has no pages of this size.
  public func counts() throws(HoldfastError) -> HostCapabilities.HugePages {
    let counts = files.hugePages(of: size, node: node?.rawValue)
    guard counts.total != nil else {
      let sizes = files.hugePageSizes().map { "\($0)" }.joined(separator: ", ")
      throw HoldfastError(
        .host, operation: "read the pool of huge pages",
        reason: "this host has no huge pages of \(size)\(nodeSuffix)"
          + (sizes.isEmpty ? "" : ", only of \(sizes)"))
    }
    return counts
  }

  /// The pages that can be allocated now: the free ones less those reserved for mappings.
  ///
  /// - Throws: as `counts`.
  public var available: PageCount {
    get throws(HoldfastError) { try counts().available }
  }

  /// Raises the pool by `count` pages. The kernel may have to move or write out other memory for
  /// them, which can take seconds.
  ///
  /// If the kernel finds fewer pages, even after it has compacted memory, the pool is lowered
  /// again. The pages stay in the pool until ``HugePagePoolIncrease/giveBack()`` is called, even
  /// when the process has ended. Waits for other processes that change a pool, at most ten seconds.
  ///
  /// - Throws: `HoldfastError` with code `resourceShortage` if the host has not enough memory available
  ///   or the kernel found fewer pages, and `host` if the caller is not root; it names the page
  ///   size, the pages requested and those found.
  public func increase(by count: PageCount) throws(HoldfastError) -> HugePagePoolIncrease {
    let lock = HostLock(files: files)
    defer { lock.unlock() }
    let before = try setting()
    try check(count)
    if count == .zero { return HugePagePoolIncrease(pool: self, count: count, added: .zero) }
    // Surplus pages are in use. A write makes them part of the pool's size before it adds others,
    // so they are counted, and returned with the rest.
    let (target, overflow) = before.total.addingReportingOverflow(count.rawValue)
    if overflow { throw tooMany(count, "that exceeds the largest number of pages") }

    let reached: UInt64
    do {
      reached = try raise(to: target, count: count)
    } catch {
      // A failed write changes nothing, but one whose outcome cannot be read may have.
      try? files.write("\(before.persistent)", to: path)
      throw error
    }
    let added = PageCount(max(reached, before.persistent) - before.persistent)
    if reached == target { return HugePagePoolIncrease(pool: self, count: count, added: added) }

    let got = max(reached, before.total) - before.total
    var outcome = "which were returned to the host"
    do {
      try lower(by: added)
    } catch {
      outcome = "which could not be returned to the host: \(error.statement)"
    }
    throw HoldfastError(
      .resourceShortage, operation: operation,
      reason:
        "\(count.rawValue) pages of \(size)\(nodeSuffix) were requested and \(got) found, "
        + outcome,
      errno: Errno.noMemory.rawValue,
      advice: .reserveAtBoot(pageSize: size, count: target))
  }

  private let operation = "reserve huge pages"

  /// Refuses a count that exceeds the available memory, before the kernel drops its page cache in a
  /// vain attempt.
  private func check(_ count: PageCount) throws(HoldfastError) {
    let (bytes, overflow) = count.rawValue.multipliedReportingOverflow(by: size.rawValue)
    if overflow { throw tooMany(count, "that exceeds the largest number of bytes") }
    if let available = memoryAvailable, available < ByteCount(bytes) {
      let owner = node.map { "node \($0)" } ?? "the host"
      throw tooMany(count, "\(owner) has only \(HostReport.rounded(available)) available")
    }
  }

  private var memoryAvailable: ByteCount? {
    guard let node else {
      return HostParsers.memory(files.text("/proc/meminfo") ?? "")["MemAvailable"]
    }
    let file = "/sys/devices/system/node/node\(node)/meminfo"
    return HostProbe.available(HostParsers.memory(files.text(file) ?? ""))
  }

  private func tooMany(_ count: PageCount, _ reason: String) -> HoldfastError {
    HoldfastError(
      .resourceShortage, operation: operation,
      reason: "\(count.rawValue) pages of \(size)\(nodeSuffix) were requested, but \(reason)",
      errno: Errno.noMemory.rawValue, advice: .other("fewer pages, or end other programs"))
  }

  /// All pages of the pool, and its configured size, which a write sets.
  private func setting() throws(HoldfastError) -> (total: UInt64, persistent: UInt64) {
    let counts = try counts()
    return ((counts.total ?? .zero).rawValue, (counts.persistent ?? .zero).rawValue)
  }

  /// Sets the pool's size to a target, twice if needed.
  ///
  /// - Returns: the size that was reached, at most the target.
  private func raise(to target: UInt64, count: PageCount) throws(HoldfastError) -> UInt64 {
    do {
      try files.write("\(target)", to: path)
      if try setting().persistent < target {
        // There may be enough free memory, but fragmented.
        try? files.write("1", to: "/proc/sys/vm/compact_memory")
        try files.write("\(target)", to: path)
      }
    } catch let error as Errno {
      throw HoldfastError(
        .host, operation: operation,
        reason:
          "\(count.rawValue) pages of \(size)\(nodeSuffix) were requested, but \(path) cannot be "
          + "written",
        errno: error.rawValue, advice: advice(for: error, target: target))
    } catch let error as HoldfastError {
      throw error
    } catch {
      throw HoldfastError(.host, operation: operation, reason: "\(error)")
    }
    return min(try setting().persistent, target)
  }

  /// Lowers the pool by pages that were added, not below zero. The caller holds the lock.
  func lower(by added: PageCount) throws(HoldfastError) {
    guard added != .zero else { return }
    let now = try setting().persistent
    let target = now - min(now, added.rawValue)
    do {
      try files.write("\(target)", to: path)
    } catch {
      throw HoldfastError(
        .host, operation: "give huge pages back", reason: "\(path) cannot be written",
        errno: error.rawValue, advice: advice(for: error, target: target))
    }
  }

  private func advice(for error: Errno, target: UInt64) -> Advice {
    switch error {
    case .permissionDenied, .notPermitted, .readOnlyFileSystem:
      .reserveHugePages([
        Advice.HugePageGoal(
          pageSize: size, node: node, path: path, count: target,
          isOutsideContainer: error == .readOnlyFileSystem)
      ])
    default: .reserveAtBoot(pageSize: size, count: target)
    }
  }
}
