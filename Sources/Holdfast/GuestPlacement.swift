internal import HoldfastCore
internal import HoldfastLinux

/// Where a guest accesses its memory.
public enum GuestPlacement: String, Hashable, Sendable, CaseIterable, Codable {
  /// In the arena's own mapping: the guest's frames are one run, and no translation is entered.
  case direct
  /// In a window of its own, into which its frames are mapped.
  case window
}

/// The choice between the two, for a guest without demand paging.
struct GuestPlacementChoice {
  /// The memory of a guest in the arena's own mapping, and the frame of guest address 0; nil for a
  /// window.
  var placed: (memory: PhysicalMemory, start: Frame, zeroed: PageCount)?
  /// Why the guest is where it is, as a phrase.
  var reason = "the guest is for mapping"

  /// Places a guest for wiring in the arena's own mapping, except where a window costs as little:
  /// where it takes over the page tables of the arena's mapping, it takes one touch a GiB, and the
  /// guest's addresses end with the guest. Without one free run of frames it gets a window too, if
  /// the arena has a file to map there.
  ///
  /// - Throws: code `invalidArgument` where private memory cannot serve the purpose,
  ///   `resourceShortage` where it has no free run.
  init(
    _ arena: Arena, _ memory: PhysicalMemory, limit: ByteCount, purpose: GuestPurpose?
  ) throws(HoldfastError) {
    let operation = "make a guest's memory"
    let hasFile = arena.backing.hasFile
    if !hasFile, purpose == .mapping {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "\(arena.backing.rawValue) is private memory, which serves only guests for wiring",
        advice: .useBacking(Backing.withFile))
    }
    guard !hasFile || purpose == .wiring else { return }
    if arena.sharesPageTables, limit >= .gibibytes(1) {
      reason = "a window takes over the page tables of the arena's mapping"
      return
    }
    // A window is better than to wait, or to move the pages of others.
    let pages = arena.geometry.pages(in: limit)
    placed = hasFile ? memory.placedNow(pages) : memory.placed(pages)
    if placed != nil {
      reason = "the guest is for wiring, and its frames are one run"
      return
    }
    let free = arena.geometry.bytes(memory.available)
    reason =
      "the arena has no free run of \(limit): \(free.rawValue >> 20) MiB of "
      + "\(arena.size.rawValue >> 20) MiB are free"
    guard hasFile else {
      throw HoldfastError(
        .resourceShortage, operation: operation, reason: reason,
        advice: .useBacking([.hugetlb2M, .thp]))
    }
  }
}
