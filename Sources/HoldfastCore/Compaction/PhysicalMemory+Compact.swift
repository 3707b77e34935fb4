/// What compacting came to.
public struct CompactionSummary: Hashable, Sendable {
  /// Superpages, of the first level, that are whole and free by it.
  public internal(set) var superpages = 0
  /// Pages that were moved.
  public internal(set) var moved = PageCount.zero
  /// Blocks that were left as they were, because of pages that are busy or were wired meanwhile, or for
  /// want of room.
  public internal(set) var skipped = 0

  public init() {}
}

extension PhysicalMemory {
  /// Makes whole superpages free again where free memory lies in fragments, by moving pages of objects
  /// that are neither wired nor busy. Reservations are broken. What moves loses its translations: who
  /// touches it faults, so a guest that runs needs somebody who answers its faults
  /// (`AddressSpace.fault`).
  ///
  /// - Parameter superpages: how many are wanted, nil for all that can be had.
  /// - Complexity: O(runs of all objects + pages moved). Takes the locks of objects in turn; safe to
  ///   call while guests run.
  @discardableResult
  public func compact(superpages: Int? = nil) -> CompactionSummary {
    var compactor = Compactor(self)
    return compactor.run(superpages ?? .max)
  }
}
