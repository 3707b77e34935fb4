/// The translations of one address space, that is, what a guest reaches (FreeBSD: `pmap`; Linux:
/// page tables).
///
/// The VM layer decides; a pmap only carries out. Calls for ranges that overlap come one at a time;
/// calls for other ranges may come at once from several threads. The caller may hold the address
/// space's lock, locks of objects, or none.
///
/// An implementation has a lock of its own, which comes after those. It is not always the last:
/// under a `PagedWindow`'s lock, that of `FaultHandlerThreads` is taken, and `enter` and `remove`
/// may wait there until a handler thread has read the event of an mremap(2).
///
/// Only `enter`, `prepareToSplit` and `prepareToProtect` may fail. What `remove` and `protect` may
/// need for splitting translations is set aside by them, so that a superpage can be split when no
/// memory is free. What one call has set aside does not reduce what the next one finds. So an
/// operation on several ranges prepares and carries out one after the other, or prepares all of them
/// in one call. A pmap whose host refuses `remove` or `protect` all the same ends the guest's access
/// for good: it has no translations then, and `enter` throws.
public protocol Pmap: AnyObject, Sendable {
  /// Enters the frames of `run` from `address` on, in pages as large as the alignment of both
  /// allows, and replaces translations that are there (FreeBSD: `pmap_enter`).
  ///
  /// - Parameters:
  ///   - run: the frames.
  ///   - address: the first address.
  ///   - protection: the accesses that the translations allow.
  ///   - wired: whether the translations must not fault until `unwire`.
  ///   - reach: the addresses from `address` on whose pages will be entered one by one from
  ///     contiguous
  ///     frames, so that a pmap may map all of them at once. No other translations exist there; the
  ///     frames are zero and belong to the same operation.
  /// - Throws: code `resourceShortage`, with the host's errno; `host` where the pmap has ended the
  ///   guest's access. A part of the range may be entered then; the caller removes it.
  func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError)

  /// Ends a reach: all its pages have been entered or replaced, or removed.
  func endReach(_ range: AddressRange)

  /// Sets aside what `remove` of the range will need for splitting translations.
  ///
  /// - Throws: code `resourceShortage`, with the host's errno if a system call failed.
  func prepareToSplit(_ range: AddressRange) throws(HoldfastError)

  /// Sets aside what the calls of `protect` with these ranges and protections, in this order, will
  /// need together for splitting translations. A removal may need less: where a hole continues in a
  /// removed range, no translation is split.
  ///
  /// - Throws: code `resourceShortage`, with the host's errno if a system call failed.
  func prepareToProtect(
    _ changes: [(range: AddressRange, protection: Protection)]
  ) throws(HoldfastError)

  /// Removes all translations of the range, wired or not (FreeBSD: `pmap_remove`). When it returns,
  /// no thread reaches the frames through this address space.
  func remove(_ range: AddressRange)

  /// Sets the protection of the range's translations (FreeBSD: `pmap_protect`). May remove
  /// translations instead; the caller then calls `refresh` for a wired range.
  func protect(_ range: AddressRange, _ protection: Protection)

  /// Restores translations that the host has dropped for its own reasons; makes no others. A pmap
  /// whose host restores them by itself does nothing.
  func refresh(_ range: AddressRange)

  /// Ends the wiring of the range's translations, all of which are wired; they stay (FreeBSD:
  /// `pmap_unwire`). A superpage of which a part is unwired may be split.
  func unwire(_ range: AddressRange)
}

extension Pmap {
  /// Does nothing, for a pmap that ignores `reach`.
  public func endReach(_ range: AddressRange) {}
  /// Does nothing, for a pmap whose host restores translations by itself.
  public func refresh(_ range: AddressRange) {}
  /// Does nothing, for a pmap that can always split.
  public func prepareToSplit(_ range: AddressRange) throws(HoldfastError) {}
  /// Prepares a split at both ends of each range.
  public func prepareToProtect(
    _ changes: [(range: AddressRange, protection: Protection)]
  ) throws(HoldfastError) {
    for change in changes { try prepareToSplit(change.range) }
  }
}
