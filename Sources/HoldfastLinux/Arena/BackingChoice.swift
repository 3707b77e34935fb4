internal import HoldfastCore
internal import SystemPackage

/// Which backing an arena gets, and the words for it when that cannot be had.
struct BackingChoice {
  let backing: Backing
  /// The size, rounded up to the backing's page.
  let size: ByteCount
  /// Why better backings were passed over.
  let fallbacks: [String]
  /// Where alone the memory may come from, or nil for anywhere.
  private let nodes: HostNodes?

  /// What is kept back for the rest of the host when an arena takes ordinary memory.
  private static let margin = ByteCount.mebibytes(64)

  /// A backing that the kernel refused although there seemed to be room, and how.
  typealias Refusal = (backing: Backing, problem: String)

  /// Takes the wanted backing or the best that `host` has room for and the kernel has not refused.
  ///
  /// - Throws: `HostError` where the wanted one, or any, has not enough memory free, or there is
  ///   something wrong with the nodes.
  init(
    size: ByteCount, wanted: Backing?, nodes: HostNodes? = nil, host: HostCapabilities,
    refused: [Refusal] = []
  ) throws(HostError) {
    try nodes?.check(host)
    guard size > .zero else {
      throw HostError(
        operation: "prepare an arena", what: "its size is 0", advice: "ask for at least 4 KiB")
    }
    if let wanted {
      self = try BackingChoice(size, wanted, nodes, host, fallbacks: [])
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
        self = try BackingChoice(size, backing, nodes, host, fallbacks: fallbacks)
        return
      } catch {
        fallbacks.append("\(backing.rawValue): \(error.what)")
      }
    }
    self = try BackingChoice(size, .base, nodes, host, fallbacks: fallbacks)
  }

  private init(
    _ size: ByteCount, _ backing: Backing, _ nodes: HostNodes?, _ host: HostCapabilities,
    fallbacks: [String]
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
    self.nodes = nodes?.policy == .bind ? nodes : nil
    if !backing.hasFile, let several = nodes, several.nodes.count > 1 {
      throw HostError(
        operation: operation,
        what: "a guest's memory is in one piece there, and cannot come from \(several.words)",
        advice: "one node, or --backing hugetlb-2M, thp or base")
    }
    if backing.hugePageSize != nil {
      try checkHugePages(operation, host)
    } else {
      try checkOrdinary(operation, host)
    }
  }

  /// The addresses of an arena that may grow to `maximum`, or is this size where that is no more.
  func length(_ maximum: ByteCount, _ operation: String) throws(HostError) -> ByteCount {
    guard let length = max(size, maximum).roundedUp(to: backing.geometry.pageSize),
      length.rawValue <= UInt64(Int64.max)
    else {
      throw HostError(
        operation: operation, what: "the maximum is beyond all address spaces",
        advice: "a maximum below 64 TiB")
    }
    return length
  }

  private func checkHugePages(_ operation: String, _ host: HostCapabilities) throws(HostError) {
    guard let page = backing.hugePageSize else { return }
    let needed = size.rawValue / page.rawValue
    guard let pool = host.confined(to: nodes).hugePages.first(where: { $0.size == page }) else {
      throw HostError(
        operation: operation, what: "this host has no hugetlb pages of \(page)",
        advice: "--backing thp or --backing base")
    }
    let free = pool.available.rawValue
    guard free < needed else { return }
    throw HostError(
      operation: operation,
      what: "\(BackingChoice.pages(needed, of: page, "hugetlb ")) needed, \(free) are free"
        + place(host),
      advice: reserveCommand(missing: needed - free, pool, host))
  }

  /// The command that adds the pages that are missing, to each of the nodes as many.
  private func reserveCommand(
    missing: UInt64, _ pool: HostCapabilities.HugePages, _ host: HostCapabilities
  ) -> String {
    let commands = Commands(user: host.privileges.effectiveUser)
    guard let nodes = nodes?.nodes else {
      return commands.write(
        (pool.total?.rawValue ?? 0) + missing, to: HugePagePool(size: pool.size).path)
    }
    return nodes.enumerated().compactMap { position, node in
      let share = NodeShares.divide(
        missing, unit: 1, room: nodes.map { _ in .max })[position]
      guard share > 0 else { return nil }
      let total = host.node(node)?.hugePages.first { $0.size == pool.size }?.total?.rawValue ?? 0
      return commands.write(
        total.saturatingSum(share), to: HugePagePool(size: pool.size, node: node).path)
    }.joined(separator: " && ")
  }

  /// ` on node 1, node 0 has 12`: where the memory was looked for and what there is elsewhere; empty
  /// where any will do.
  private func place(_ host: HostCapabilities) -> String {
    guard let nodes else { return "" }
    let others = host.memoryNodes.filter { !nodes.nodes.contains($0.id) }
    return " on \(nodes.words)"
      + others.map { node in
        let room = node.room(for: backing)
        let has = backing.hugePageSize.map { "\(room.rawValue / $0.rawValue)" }
        return ", node \(node.id) has " + (has ?? HostReport.rounded(room))
      }.joined()
  }

  private static func pages(_ count: UInt64, of size: ByteCount, _ kind: String = "") -> String {
    "\(count) \(kind)" + (count == 1 ? "page of \(size) is" : "pages of \(size) are")
  }

  private func checkOrdinary(_ operation: String, _ host: HostCapabilities) throws(HostError) {
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
    if backing == .thpPrivate {
      let mode = host.transparentHugePages.privateMemory
      guard let mode, mode != .never else {
        throw HostError(
          operation: operation,
          what: "transparent huge pages are off for private memory (enabled is "
            + "\(host.transparentHugePages.privateMemory?.rawValue ?? "missing"))",
          advice: Commands(user: host.privileges.effectiveUser).write(
            "madvise", to: "/sys/kernel/mm/transparent_hugepage/enabled"))
      }
    }
    let available = host.confined(to: nodes).availableForGuests
    let needed = size.rawValue.addingReportingOverflow(Self.margin.rawValue)
    guard needed.overflow || needed.partialValue > available.rawValue else { return }
    let pages = size.rawValue / backing.mappedPageSize.rawValue
    throw HostError(
      operation: operation,
      what: "\(BackingChoice.pages(pages, of: backing.mappedPageSize)) needed, "
        + "\(available.rawValue / backing.mappedPageSize.rawValue) are available "
        + "(\(available.rawValue >> 20) MiB less \(Self.margin) kept for the host)" + place(host),
      advice: "ask for less than \(available.rawValue >> 20) MiB, or free memory on this host")
  }

  /// The error for a system call that failed although there seemed to be enough.
  func shortage(_ operation: String, _ error: Errno, _ host: HostCapabilities) -> HostError {
    if error == .invalidArgument {
      return HostError(
        operation: operation, what: "the kernel does not know MADV_POPULATE_WRITE",
        errno: error.rawValue, advice: "Linux 5.14 or newer")
    }
    // Only a new look tells what there was; the old one seemed to be enough.
    let now = HostProbe().host()
    let confined = now.confined(to: nodes)
    guard let page = backing.hugePageSize else {
      let needed = size.rawValue / backing.mappedPageSize.rawValue
      return HostError(
        operation: operation,
        what: "\(BackingChoice.pages(needed, of: backing.mappedPageSize)) needed, "
          + "\(confined.availableForGuests.rawValue / backing.mappedPageSize.rawValue) "
          + "are available" + place(now),
        errno: error.rawValue, advice: "ask for less, or free memory on this host")
    }
    let needed = size.rawValue / page.rawValue
    let counts = confined.hugePages.first { $0.size == page }
    let free = counts?.available.rawValue ?? 0
    return HostError(
      operation: operation,
      what: "\(BackingChoice.pages(needed, of: page, "hugetlb ")) needed, \(free) are free"
        + place(now),
      errno: error.rawValue,
      advice: counts.map { counts in
        free < needed
          ? reserveCommand(missing: needed - free, counts, now)
          : "look for a limit: hugetlb cgroup, cpuset, RLIMIT_AS; or another --backing"
      })
  }
}
