public import HoldfastCore
internal import SystemPackage

/// The kernel's pool of huge pages of one size, or the part of it that lies on one NUMA node, and
/// raising it for a while.
///
/// Counts are of pages of ``size``. Raising and lowering is a read and a write that the kernel does
/// not join: processes that use this type keep out of each other's way by `HostLock`, others can
/// still come between.
public struct HugePagePool: Sendable {
  /// The size of a page.
  public let size: ByteCount
  /// The node, or nil for all of the host's, where the kernel chooses the nodes of new pages.
  public let node: NodeID?
  let files: HostFiles

  /// The pool of pages of `size` under `root`: `/` for this host.
  public init(size: ByteCount, node: NodeID? = nil, root: String = "/") {
    self.init(size: size, node: node, files: HostFiles(root: root))
  }

  /// The pool of pages of `size` in the given files.
  package init(size: ByteCount, node: NodeID? = nil, files: HostFiles) {
    self.size = size
    self.node = node
    self.files = files
  }

  /// Where the pool is set (Linux: `nr_hugepages`).
  public var path: String {
    HostFiles.poolDirectory(of: size, node: node?.rawValue) + "/nr_hugepages"
  }

  private var place: String { node.map { " on node \($0)" } ?? "" }

  /// The counts now. Throws where the kernel has no pages of this size.
  public func counts() throws(HoldfastError) -> HostCapabilities.HugePages {
    let counts = files.hugePages(of: size, node: node?.rawValue)
    guard counts.total != nil else {
      let sizes = files.hugePageSizes().map { "\($0)" }.joined(separator: ", ")
      throw HoldfastError(
        .host, operation: "read the pool of huge pages",
        reason: "this host has no huge pages of \(size)\(place)"
          + (sizes.isEmpty ? "" : ", but of \(sizes)"))
    }
    return counts
  }

  /// Pages to be had now: free ones less those promised to mappings.
  public var available: PageCount {
    get throws(HoldfastError) { try counts().available }
  }

  /// Raises the pool by `count` pages, for which the kernel may have to move or write out other
  /// memory: it can take seconds.
  ///
  /// All or nothing: where the kernel finds fewer pages, even after compacting memory, those are
  /// given back and an error tells the page size, how many were asked for and how many came. Needs
  /// root. The pages stay in the pool until ``HugePagePoolIncrease/giveBack()`` is called, even when
  /// the process has ended.
  public func reserve(_ count: PageCount) throws(HoldfastError) -> HugePagePoolIncrease {
    let lock = HostLock(files: files)
    defer { lock.release() }
    let before = try setting()
    try check(count)
    if count == .zero { return HugePagePoolIncrease(pool: self, count: count, added: .zero) }
    // Surplus pages are in use. A write turns them into the pool's own before it adds any, so they
    // are counted in, and given back with the rest.
    let (target, overflow) = before.total.addingReportingOverflow(count.rawValue)
    if overflow { throw tooMany(count, "that passes the largest number of pages") }

    let reached: UInt64
    do {
      reached = try raise(to: target, count: count)
    } catch {
      // A write that failed changed nothing; one whose outcome cannot be read might have.
      try? files.write("\(before.persistent)", to: path)
      throw error
    }
    let added = PageCount(max(reached, before.persistent) - before.persistent)
    if reached == target { return HugePagePoolIncrease(pool: self, count: count, added: added) }

    let got = max(reached, before.total) - before.total
    var outcome = "which were given back"
    do {
      try lower(by: added)
    } catch {
      outcome = "which could not be given back: \(error)"
    }
    throw HoldfastError(
      .host, operation: operation,
      reason: "asked for \(count.rawValue) pages of \(size)\(place), got \(got), \(outcome)",
      errno: Errno.noMemory.rawValue,
      advice: .reserveAtBoot(pageSize: size, count: target))
  }

  private let operation = "reserve huge pages"

  /// Refuses what the host plainly has no memory for, before the kernel tears its page cache down
  /// in the attempt.
  private func check(_ count: PageCount) throws(HoldfastError) {
    let (bytes, overflow) = count.rawValue.multipliedReportingOverflow(by: size.rawValue)
    if overflow { throw tooMany(count, "that passes the largest number of bytes") }
    if let available = memoryAvailable, available < ByteCount(bytes) {
      let owner = node.map { "node \($0)" } ?? "the host"
      throw tooMany(count, "\(owner) has \(HostReport.rounded(available)) available")
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
      .host, operation: operation,
      reason: "asked for \(count.rawValue) pages of \(size)\(place), but \(reason)",
      errno: Errno.noMemory.rawValue, advice: .other("a smaller size, or end other programs"))
  }

  /// All pages of the pool, and those that it is set to keep: what a write sets.
  private func setting() throws(HoldfastError) -> (total: UInt64, persistent: UInt64) {
    let counts = try counts()
    return ((counts.total ?? .zero).rawValue, (counts.persistent ?? .zero).rawValue)
  }

  /// Sets the pool to a target, twice if need be, and returns the setting reached, at most the
  /// target.
  private func raise(to target: UInt64, count: PageCount) throws(HoldfastError) -> UInt64 {
    do {
      try files.write("\(target)", to: path)
      if try setting().persistent < target {
        // Best effort: there may be free memory enough, but in pieces.
        try? files.write("1", to: "/proc/sys/vm/compact_memory")
        try files.write("\(target)", to: path)
      }
    } catch let error as Errno {
      throw HoldfastError(
        .host, operation: operation,
        reason:
          "asked for \(count.rawValue) pages of \(size)\(place), but \(path) cannot be written",
        errno: error.rawValue, advice: advice(for: error, target: target))
    } catch let error as HoldfastError {
      throw error
    } catch {
      throw HoldfastError(.host, operation: operation, reason: "\(error)")
    }
    return min(try setting().persistent, target)
  }

  /// Lowers the pool by pages that were added, never below zero. The caller holds the lock.
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
