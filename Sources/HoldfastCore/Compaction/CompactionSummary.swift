/// What a call of `PhysicalMemory.compact` did.
public struct CompactionSummary: Hashable, Sendable {
  /// Superpages of the first level that the call made whole and free.
  public internal(set) var superpages = 0
  /// Pages that were moved.
  public internal(set) var moved = PageCount.zero
  /// Blocks that were not emptied, because a page was busy or had been wired meanwhile, or because
  /// there was no room.
  public internal(set) var skipped = 0

  /// Creates a summary of nothing.
  public init() {}
}
