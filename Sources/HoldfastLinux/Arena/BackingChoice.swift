internal import HoldfastCore
internal import SystemPackage

/// Which backing an arena gets, and the words for it when that cannot be had.
struct BackingChoice {
  let backing: Backing
  /// The size, rounded up to the backing's page.
  let size: ByteCount
  /// Why better backings were passed over.
  let fallbacks: [String]

  /// What is kept back for the rest of the host when an arena takes ordinary memory.
  private static let margin = ByteCount.mebibytes(64)

  /// A backing that the kernel refused although there seemed to be room, and how.
  typealias Refusal = (backing: Backing, problem: String)

  /// Takes the wanted backing or the best that `host` has room for and the kernel has not refused.
  ///
  /// - Throws: `HostError` where the wanted one, or any, has not enough memory free.
  init(
    size: ByteCount, wanted: Backing?, host: Host, refused: [Refusal] = []
  ) throws(HostError) {
    guard size > .zero else {
      throw HostError(
        operation: "prepare an arena", what: "its size is 0", advice: "ask for at least 4 KiB")
    }
    if let wanted {
      self = try BackingChoice(size, wanted, host, fallbacks: [])
      return
    }
    var fallbacks: [String] = []
    for backing in Backing.allCases.dropLast() {
      // A guest whose size is no multiple of the huge page would waste the rest of the last one.
      if let page = backing.hugePageSize, !size.isMultiple(of: page) {
        fallbacks.append("\(backing.rawValue): \(size) is not a multiple of \(page)")
        continue
      }
      if let refusal = refused.first(where: { $0.backing == backing }) {
        fallbacks.append("\(backing.rawValue): \(refusal.problem)")
        continue
      }
      do throws(HostError) {
        self = try BackingChoice(size, backing, host, fallbacks: fallbacks)
        return
      } catch {
        fallbacks.append("\(backing.rawValue): \(error.what)")
      }
    }
    self = try BackingChoice(size, .base, host, fallbacks: fallbacks)
  }

  private init(
    _ size: ByteCount, _ backing: Backing, _ host: Host, fallbacks: [String]
  ) throws(HostError) {
    let operation = "prepare an arena of \(size) (\(backing.rawValue))"
    guard let rounded = size.roundedUp(to: backing.geometry.pageSize),
      rounded.rawValue <= UInt64(Int64.max)
    else {
      throw HostError(
        operation: operation, what: "the size is beyond all address spaces",
        advice: "ask for less than \(host.availableForGuests.rawValue >> 20) MiB")
    }
    self.backing = backing
    self.size = rounded
    self.fallbacks = fallbacks
    if backing.hugePageSize != nil {
      try checkHugePages(operation, host)
    } else {
      try checkOrdinary(operation, host)
    }
  }

  private func checkHugePages(_ operation: String, _ host: Host) throws(HostError) {
    guard let page = backing.hugePageSize else { return }
    let needed = size.rawValue / page.rawValue
    guard let pool = host.hugePages.first(where: { $0.size == page }) else {
      throw HostError(
        operation: operation, what: "this host has no hugetlb pages of \(page)",
        advice: "--backing thp or --backing base")
    }
    let free = pool.available.rawValue
    guard free < needed else { return }
    throw HostError(
      operation: operation,
      what: "\(BackingChoice.pages(needed, of: page, "hugetlb ")) needed, \(free) are free",
      advice: BackingChoice.reserveCommand(missing: needed - free, pool, host))
  }

  private static func reserveCommand(
    missing: UInt64, _ pool: Host.HugePages, _ host: Host
  ) -> String {
    Commands(user: host.privileges.effectiveUser).write(
      (pool.total?.rawValue ?? 0) + missing, to: HugePagePool(size: pool.size).path)
  }

  private static func pages(_ count: UInt64, of size: ByteCount, _ kind: String = "") -> String {
    "\(count) \(kind)" + (count == 1 ? "page of \(size) is" : "pages of \(size) are")
  }

  private func checkOrdinary(_ operation: String, _ host: Host) throws(HostError) {
    if backing == .thp {
      let mode = host.transparentHugePages.sharedMemory
      guard mode?.givesHugePages == true else {
        throw HostError(
          operation: operation,
          what: "transparent huge pages are off for shared memory (shmem_enabled is "
            + "\(mode?.rawValue ?? "missing"))",
          advice: Commands(user: host.privileges.effectiveUser).write(
            "advise", to: "/sys/kernel/mm/transparent_hugepage/shmem_enabled"))
      }
    }
    let available = host.availableForGuests
    let needed = size.rawValue.addingReportingOverflow(Self.margin.rawValue)
    guard needed.overflow || needed.partialValue > available.rawValue else { return }
    let pages = size.rawValue / backing.mappedPageSize.rawValue
    throw HostError(
      operation: operation,
      what: "\(BackingChoice.pages(pages, of: backing.mappedPageSize)) needed, "
        + "\(available.rawValue / backing.mappedPageSize.rawValue) are available "
        + "(\(available.rawValue >> 20) MiB less \(Self.margin) kept for the host)",
      advice: "ask for less than \(available.rawValue >> 20) MiB, or free memory on this host")
  }

  /// The error for a system call that failed although there seemed to be enough.
  func shortage(_ operation: String, _ error: Errno, _ host: Host) -> HostError {
    if error == .invalidArgument {
      return HostError(
        operation: operation, what: "the kernel does not know MADV_POPULATE_WRITE",
        errno: error.rawValue, advice: "Linux 5.14 or newer")
    }
    guard let page = backing.hugePageSize else {
      let needed = size.rawValue / backing.mappedPageSize.rawValue
      let available = HostProbe().host().availableForGuests
      return HostError(
        operation: operation,
        what: "\(BackingChoice.pages(needed, of: backing.mappedPageSize)) needed, "
          + "\(available.rawValue / backing.mappedPageSize.rawValue) are available",
        errno: error.rawValue, advice: "ask for less, or free memory on this host")
    }
    let pool = HugePagePool(size: page)
    let needed = size.rawValue / page.rawValue
    let counts = try? pool.counts()
    let free = counts?.available.rawValue ?? 0
    return HostError(
      operation: operation,
      what: "\(BackingChoice.pages(needed, of: page, "hugetlb ")) needed, \(free) are free",
      errno: error.rawValue,
      advice: counts.map { counts in
        free < needed
          ? BackingChoice.reserveCommand(missing: needed - free, counts, host)
          : "look for a limit: hugetlb cgroup, cpuset, RLIMIT_AS; or another --backing"
      })
  }
}
