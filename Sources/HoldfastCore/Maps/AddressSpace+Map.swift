extension AddressSpace {
  /// Maps a part of an object, or new anonymous memory, at a given range that is free (FreeBSD:
  /// `vm_map_insert`; Linux: mmap(2) with MAP_FIXED_NOREPLACE). Takes a reference to the object.
  /// Makes no page resident and no translation.
  ///
  /// - Parameters:
  ///   - object: the object to map, or nil for anonymous memory of this mapping alone.
  ///   - offset: the object's page at the start of the range; ignored for anonymous memory.
  ///   - protection: the accesses that are allowed; an empty set makes a guard entry.
  ///   - maximum: the accesses that `protect` may allow later.
  ///   - inheritance: what a child gets when the address space is forked.
  ///   - copyOnWrite: whether writes go to copies that only this mapping has (FreeBSD:
  ///     `MAP_COPY_ON_WRITE`; Linux: MAP_PRIVATE). Until a page is copied, other mappings' writes
  ///     to it may be seen.
  /// - Throws: `invalidArgument` for a range that is empty, not page-aligned, beyond the object's
  ///   end or not within `bounds`, or for a protection that exceeds the maximum; `noSpace` where a
  ///   part of the range is mapped.
  /// - Complexity: O(log entries). Takes the lock exclusive.
  public func map(
    _ object: MemoryObject? = nil, offset: PageIndex = .zero, at range: AddressRange,
    protection: Protection = .readWrite, maximum: Protection = .all,
    inheritance: Inheritance = .copy, copyOnWrite: Bool = false
  ) throws(HoldfastError) {
    try during("map \(range)", range) { () throws(HoldfastError) in
      try check(object, offset: offset, range, protection, maximum)
      try lock.withExclusiveLock { () throws(HoldfastError) in
        let following = entries.position(after: range.start).map { entries[$0].range }
        if let following, following.start < range.end {
          throw HoldfastError(
            .noSpace, at: max(range.start, following.start), "the range overlaps a mapping")
        }
        insertLocked(object, offset, range, protection, maximum, inheritance, copyOnWrite)
      }
    }
  }

  /// Maps a part of an object, or new anonymous memory, at the first free range that is long enough
  /// (FreeBSD: `vm_map_find`).
  ///
  /// - Parameter alignment: the alignment of the range's start, a power of two; a base page by
  ///   default.
  /// - Returns: the range.
  /// - Throws: as `map(_:offset:at:)`; `noSpace` where no free range is long enough.
  /// - Complexity: O(log entries) for the alignment of a base page or a superpage (otherwise see
  ///   `EntryTree.firstGap`). Takes the lock exclusive.
  package func map(
    _ object: MemoryObject? = nil, offset: PageIndex = .zero, anywhere length: ByteCount,
    alignment: ByteCount? = nil, protection: Protection = .readWrite, maximum: Protection = .all,
    inheritance: Inheritance = .copy, copyOnWrite: Bool = false
  ) throws(HoldfastError) -> AddressRange {
    let alignment = alignment ?? geometry.pageSize
    return try during("map \(length)") { () throws(HoldfastError) in
      guard alignment.rawValue.nonzeroBitCount == 1, alignment >= geometry.pageSize else {
        throw HoldfastError(
          .invalidArgument,
          "the alignment \(alignment) is not a power of two of at least \(geometry.pageSize)")
      }
      guard length <= bounds.length else { throw noSpace(length) }
      try check(
        object, offset: offset, AddressRange(from: bounds.start, to: bounds.start + length),
        protection,
        maximum)
      return try lock.withExclusiveLock { () throws(HoldfastError) in
        guard let range = entries.firstGap(length, alignment: alignment) else {
          throw noSpace(length)
        }
        insertLocked(object, offset, range, protection, maximum, inheritance, copyOnWrite)
        return range
      }
    }
  }

  private func check(
    _ object: MemoryObject?, offset: PageIndex, _ range: AddressRange, _ protection: Protection,
    _ maximum: Protection
  ) throws(HoldfastError) {
    guard !range.isEmpty else {
      throw HoldfastError(.invalidArgument, "the range \(range) is empty")
    }
    try checkAligned(range)
    guard bounds.contains(range) else {
      throw HoldfastError(
        .invalidArgument,
        bounds.start == .zero
          ? "range \(range) exceeds the guest's limit of \(bounds.length)"
          : "range \(range) is not within the guest's addresses, \(bounds)")
    }
    guard protection.isSubset(of: maximum) else {
      throw HoldfastError(
        .invalidArgument, "protection \(protection) exceeds the maximum \(maximum)")
    }
    if let object {
      let pages = geometry.pages(in: range.length)
      guard offset.rawValue <= object.size.rawValue,
        pages.rawValue <= object.size.rawValue - offset.rawValue
      else {
        throw HoldfastError(
          .invalidArgument,
          "\(pages.rawValue) pages from page \(offset.rawValue) on exceed the object's "
            + "\(object.size.rawValue) pages")
      }
    }
  }

  /// Checks that a range starts and ends on a page.
  func checkAligned(_ range: AddressRange) throws(HoldfastError) {
    guard geometry.isPageAligned(range) else {
      throw HoldfastError(.invalidArgument, "the range \(range) is not page-aligned")
    }
  }

  private func noSpace(_ length: ByteCount) -> HoldfastError {
    HoldfastError(.noSpace, "no free range of \(length) is left in \(bounds)")
  }

  private func insertLocked(
    _ object: MemoryObject?, _ offset: PageIndex, _ range: AddressRange, _ protection: Protection,
    _ maximum: Protection, _ inheritance: Inheritance, _ copyOnWrite: Bool
  ) {
    object?.retain()
    let entry = MapEntry(
      range: range, object: object, offset: object == nil ? .zero : offset,
      protection: protection, maximumProtection: maximum, inheritance: inheritance)
    entry.needsCopy = object != nil && copyOnWrite
    let position = entries.insert(entry)
    entry.publish(pmap, geometry)
    mergeLocked(from: entries.position(before: position) ?? position, to: range.end)
  }

  /// Unmaps a range (FreeBSD: `vm_map_delete`; Linux: munmap(2)). Returns all its wirings; skips
  /// parts that are not mapped. Waits for entries in transition.
  ///
  /// - Throws: `invalidArgument` for a range that is not page-aligned; `resourceShortage` where the
  ///   pmap cannot split a translation at an end of the range. Nothing has changed then. So a range
  ///   at whose ends no translation continues can always be unmapped.
  /// - Complexity: O(log entries) for the look-up and for each entry of the range, plus the runs of
  ///   its pages. Takes the lock exclusive, and waits with it for busy pages that are freed.
  public func remove(_ range: AddressRange) throws(HoldfastError) {
    try during("unmap \(range)", range) { () throws(HoldfastError) in try unmap(range) }
  }

  private func unmap(_ range: AddressRange) throws(HoldfastError) {
    try checkAligned(range)
    if range.isEmpty { return }
    lock.lockExclusive()
    defer { lock.unlock() }
    while hasTransitionLocked(in: range) { waitForTransitionLocked(exclusive: true) }
    guard let mapped = mappedPartLocked(of: range) else { return }
    // All at once, and not entry by entry: a translation that covers several entries is split only
    // at the ends of the range, and not at all where no part of it stays.
    try pmap.prepareToSplit(mapped)
    pmap.remove(mapped)
    var position = entries.position(after: range.start)
    while let here = position, entries[here].range.start < range.end {
      let part = clipLocked(here, to: range)
      let entry = entries[part]
      position = entries.remove(at: part)
      discardLocked(entry)
    }
  }

  private func hasTransitionLocked(in range: AddressRange) -> Bool {
    guard entriesInTransition > 0 else { return false }
    var found = false
    entries.visit(in: range) { found = found || $0.transition != nil }
    return found
  }
}
