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
  /// - Complexity: O(entries), in moved references. Takes the lock exclusive.
  public func map(
    _ object: MemoryObject? = nil, offset: PageIndex = .zero, at range: AddressRange,
    protection: Protection = .readWrite, maximum: Protection = .all,
    inheritance: Inheritance = .copy, copyOnWrite: Bool = false
  ) throws(HoldfastError) {
    try during("map \(range)", range) { () throws(HoldfastError) in
      try check(object, offset: offset, range, protection, maximum)
      try lock.withExclusiveLock { () throws(HoldfastError) in
        let position = positionLocked(after: range.start)
        if position < entries.count, entries[position].range.start < range.end {
          throw HoldfastError(
            .noSpace, at: max(range.start, entries[position].range.start),
            "the range overlaps a mapping")
        }
        insertLocked(
          object, offset, range, protection, maximum, inheritance, copyOnWrite, at: position)
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
  /// - Complexity: O(entries). Takes the lock exclusive.
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
        object, offset: offset, AddressRange(bounds.start, bounds.start + length), protection,
        maximum)
      return try lock.withExclusiveLock { () throws(HoldfastError) in
        guard let (range, position) = findSpaceLocked(length, alignment) else {
          throw noSpace(length)
        }
        insertLocked(
          object, offset, range, protection, maximum, inheritance, copyOnWrite, at: position)
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

  private func findSpaceLocked(
    _ length: ByteCount, _ alignment: ByteCount
  ) -> (AddressRange, position: Int)? {
    var position = 0
    var start = bounds.start
    while true {
      guard let aligned = start.roundedUp(to: alignment),
        let range = AddressRange(start: aligned, length: length), range.end <= bounds.end
      else { return nil }
      if position == entries.count || range.end <= entries[position].range.start {
        return (range, position)
      }
      start = entries[position].range.end
      position += 1
    }
  }

  private func insertLocked(
    _ object: MemoryObject?, _ offset: PageIndex, _ range: AddressRange, _ protection: Protection,
    _ maximum: Protection, _ inheritance: Inheritance, _ copyOnWrite: Bool, at position: Int
  ) {
    object?.retain()
    let entry = MapEntry(
      range: range, object: object, offset: object == nil ? .zero : offset,
      protection: protection, maximumProtection: maximum, inheritance: inheritance)
    entry.needsCopy = object != nil && copyOnWrite
    entries.insert(entry, at: position)
    entry.publish(pmap, geometry)
    mergeLocked(around: range)
  }

  /// Unmaps a range (FreeBSD: `vm_map_delete`; Linux: munmap(2)). Returns all its wirings; skips
  /// parts that are not mapped. Waits for entries in transition.
  ///
  /// - Throws: `invalidArgument` for a range that is not page-aligned; `resourceShortage` where the
  ///   pmap cannot split a translation at an end of the range. Nothing has changed then.
  /// - Complexity: O(entries + runs of their pages). Takes the lock exclusive, and waits with it
  ///   for busy pages that are freed.
  public func remove(_ range: AddressRange) throws(HoldfastError) {
    try during("unmap \(range)", range) { () throws(HoldfastError) in try unmap(range) }
  }

  private func unmap(_ range: AddressRange) throws(HoldfastError) {
    try checkAligned(range)
    if range.isEmpty { return }
    lock.lockExclusive()
    defer { lock.unlock() }
    while entriesLocked(in: range).contains(where: { $0.transition != nil }) {
      waitForTransitionLocked(exclusive: true)
    }
    // A superpage may cover several entries, which are removed one after the other.
    for entry in entriesLocked(in: range) {
      try pmap.prepareToSplit(
        AddressRange(max(entry.range.start, range.start), min(entry.range.end, range.end)))
    }
    while true {
      let position = positionLocked(after: range.start)
      guard position < entries.count, entries[position].range.start < range.end else { return }
      discardLocked(entries.remove(at: clipLocked(position, to: range)))
    }
  }

  /// The entries that map some of a range.
  private func entriesLocked(in range: AddressRange) -> ArraySlice<MapEntry> {
    entries[positionLocked(after: range.start)...].prefix { $0.range.start < range.end }
  }
}
