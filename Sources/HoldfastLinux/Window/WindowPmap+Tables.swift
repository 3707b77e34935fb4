internal import HoldfastCore
internal import SystemPackage

/// Page tables that mappings of a hugetlb file share.
///
/// The page table of a GiB of 2 MiB pages is one page of memory (Linux: a PMD table). Where two
/// shared mappings of a hugetlb file lie alike within a GiB, have the same flags and contain all of
/// it, the kernel uses one table for both: the first fault of the second mapping takes over the 512
/// entries of the first (mm/hugetlb.c: `huge_pmd_share`). The arena's direct map has all entries of
/// the arena. So a window that maps a whole GiB of it has all of them after a touch of one page,
/// and no page is looked at.
///
/// What sharing means, by the functions of mm/hugetlb.c:
/// - Two mappings that share a table map the same pages of the file, at the same places in their
///   GiBs. A guest's GiB shares with the arena's direct map, and with a mapping of another guest
///   only if that maps the same GiB of the file, which no guest does that could not read its pages
///   anyway. An entry that a fault adds is the page that the fault of the other mapping would add.
/// - Before the kernel unmaps, protects or splits a part of a mapping (`__unmap_hugepage_range`,
///   `hugetlb_change_protection`, `hugetlb_split`), it takes the table away from that mapping alone
///   (`huge_pmd_unshare`) and flushes what processors and KVM (MMU notifiers) have cached of the
///   GiB. The other mapping keeps the table. But the mapping itself loses the entries of all 512
///   pages, also of those that it keeps: accesses to them fault, and the kernel finds the page in
///   the file. A wired page does not fault, so `refill` enters them again.
/// - Registering a range for userfaultfd does the same for the whole mapping
///   (`hugetlb_unshare_all_pmds`), and a registered mapping does not share
///   (`uffd_disable_huge_pmd_share`). Windows of hugetlb that page on demand thus have tables of
///   their own; forks and snapshots use those.
/// - The kernel migrates a hugetlb page by taking the table away from the mappings in turn
///   (`try_to_migrate_one`), the direct map's perhaps first. The pages stay in the file, and the
///   next window finds no table to share there, which `share` notices.
/// - Tables are on the node of the thread that filled the direct map, not on that of the guest.
extension WindowPmap {
  private static let tableSize = ByteCount.gibibytes(1).rawValue
  private static let pageSize = ByteCount.mebibytes(2).rawValue

  /// Enters all pages of a mapped part: whole GiBs by the direct map's page tables if the kernel
  /// shares them, else page by page. Takes the lock.
  func populate(_ part: Range<UInt64>, _ protection: Protection) throws(Errno) {
    let size = WindowPmap.tableSize
    let first = (part.lowerBound + size - 1) / size
    let end = part.upperBound / size
    guard arena.backing == .hugetlb2M, first < end else {
      return try hostRange.populate(part, protection)
    }
    // Before they have entries, since another operation may take those away at once.
    lock.withLock { unsafe wholeTables.insert(first..<end) }
    if part.lowerBound < first * size {
      try hostRange.populate(part.lowerBound..<first * size, protection)
    }
    for table in try unshared(first..<end, protection) {
      try hostRange.populate(table * size..<(table + 1) * size, protection)
    }
    if end * size < part.upperBound {
      try hostRange.populate(end * size..<part.upperBound, protection)
    }
  }

  /// Takes over the direct map's page tables for GiBs, by populating one page of each.
  ///
  /// - Returns: the GiBs whose last page is not entered then: their tables are this mapping's own.
  /// - Complexity: O(GiBs). The kernel is asked for all last pages at once (move_pages(2)) or, where
  ///   that is refused, for one after the other (mincore(2)).
  private func unshared(
    _ tables: Range<UInt64>, _ protection: Protection
  ) throws(Errno) -> [UInt64] {
    guard arena.sharesPageTables, tableSharing != .never else { return Array(tables) }
    let size = WindowPmap.tableSize
    for table in tables {
      try hostRange.populate(table * size..<table * size + WindowPmap.pageSize, protection)
    }
    let lastPages = (tables.lowerBound + 1) * size - 4096..<tables.upperBound * size
    var unshared: [UInt64] = []
    do throws(Errno) {
      try hostRange.nodes(lastPages, step: size) { offset, node in
        if node == nil { unshared.append(offset / size) }
      }
      return unshared
    } catch {
      unshared = []
      for table in tables where try !hostRange.isResident(at: (table + 1) * size - 4096) {
        unshared.append(table)
      }
      return unshared
    }
  }

  /// Enters again the pages of the GiBs of which the kernel may have taken the page tables away,
  /// because a part of them was mapped anew, removed or protected. Once for each GiB: afterwards
  /// its table is this mapping's own. What fails does no harm: accesses to the pages fault, and the
  /// kernel finds them. Needs the lock.
  ///
  /// - Complexity: O(log tables) where no table is shared, else O(pages of the GiBs).
  func refill(around part: Range<UInt64>) {
    if unsafe wholeTables.isEmpty { return }
    let size = WindowPmap.tableSize
    for table in part.lowerBound / size..<(part.upperBound + size - 1) / size {
      guard unsafe wholeTables.remove(table) else { continue }
      let end = min((table + 1) * size, hostRange.length.rawValue)
      for extent in unsafe extents.parts(of: table * size..<end)
      where extent.protection.contains(.read) {
        try? hostRange.populate(extent.range, extent.protection)
      }
    }
  }
}

extension Arena {
  /// Whether the kernel shares page tables between mappings of this arena's file, and mincore(2)
  /// tells the truth about them: asked by mapping the first GiB twice. The mapping with the flags
  /// of the direct map must have its last page after a touch of its first; the other one, which
  /// may not be written to and so cannot share, must not.
  static func sharesPageTables(_ file: MemoryFile?, _ backing: Backing, _ size: ByteCount) -> Bool {
    guard let file, backing == .hugetlb2M, size >= .gibibytes(1) else { return false }
    func hasAll(_ protection: Protection) throws(Errno) -> Bool {
      let gibibyte = ByteCount.gibibytes(1).rawValue
      let trial = try HostRange.reserve(.gibibytes(1), alignment: .gibibytes(1))
      defer { trial.unmap() }
      try trial.map(
        0..<gibibyte, protection, file: file.descriptor, offset: 0, advice: .noDump)
      try trial.populate(0..<ByteCount.mebibytes(2).rawValue, protection)
      // As a window asks, whose first question would take longer than the others.
      try? trial.nodes(gibibyte - 4096..<gibibyte, step: gibibyte) { _, _ in }
      return try trial.isResident(at: gibibyte - 4096)
    }
    do throws(Errno) {
      guard try hasAll(.readWrite) else { return false }
      return try !hasAll([.read])
    } catch {
      return false
    }
  }
}
