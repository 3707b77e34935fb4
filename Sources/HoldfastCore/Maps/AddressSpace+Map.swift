extension AddressSpace {
  /// Maps a part of an object, or fresh anonymous memory, at a fixed range that is free (FreeBSD:
  /// `vm_map_insert`). Takes a reference to the object. Nothing is resident or entered by this.
  ///
  /// - Parameters:
  ///   - object: what to map, or nil for anonymous memory of this mapping's own.
  ///   - offset: the object's page that the range starts with.
  ///   - protection: what may be done now; none makes a guard entry.
  ///   - maximum: what `protect` may allow later.
  ///   - inheritance: what a child gets at a fork.
  ///   - copyOnWrite: writes go to copies of this mapping's own (FreeBSD: `MAP_COPY_ON_WRITE`). What
  ///     others write to the object may be seen until then.
  /// - Throws: invalidArgument for an empty or unaligned range, one beyond the object's end or out
  ///   of bounds, or a protection over the maximum; noSpace if a part of the range is mapped.
  /// - Complexity: O(entries), in moved references. Takes the lock exclusive.
  public func map(
    _ object: MemoryObject? = nil, offset: PageIndex = .zero, at range: AddressRange,
    protection: Protection = .readWrite, maximum: Protection = .all,
    inheritance: Inheritance = .copy, copyOnWrite: Bool = false
  ) throws(HoldfastError) {
    try check(object, offset: offset, range, protection, maximum)
    try lock.withExclusiveLock { () throws(HoldfastError) in
      let position = positionLocked(after: range.start)
      if position < entries.count, entries[position].range.start < range.end {
        throw HoldfastError(
          .noSpace, at: max(range.start, entries[position].range.start), "the range is taken")
      }
      insertLocked(
        object, offset, range, protection, maximum, inheritance, copyOnWrite, at: position)
    }
  }

  /// Maps a part of an object, or anonymous memory, in the first free range that is long enough
  /// (FreeBSD: `vm_map_find`).
  ///
  /// - Parameter alignment: of the range's start, a power of two and at least a base page.
  /// - Returns: the range.
  /// - Throws: as `map(_:offset:at:protection:maximum:inheritance:)`; noSpace where none is free.
  public func map(
    _ object: MemoryObject? = nil, offset: PageIndex = .zero, anywhere length: ByteCount,
    alignment: ByteCount? = nil, protection: Protection = .readWrite, maximum: Protection = .all,
    inheritance: Inheritance = .copy, copyOnWrite: Bool = false
  ) throws(HoldfastError) -> AddressRange {
    let alignment = alignment ?? geometry.pageSize
    guard alignment.rawValue.nonzeroBitCount == 1, alignment >= geometry.pageSize else {
      throw HoldfastError(
        .invalidArgument, "an alignment is a power of two and at least a base page")
    }
    guard length <= bounds.length else {
      throw HoldfastError(.noSpace, "no free range is long enough")
    }
    try check(
      object, offset: offset, AddressRange(bounds.start, bounds.start + length), protection,
      maximum)
    return try lock.withExclusiveLock { () throws(HoldfastError) in
      guard let (range, position) = findSpaceLocked(length, alignment) else {
        throw HoldfastError(.noSpace, "no free range is long enough")
      }
      insertLocked(
        object, offset, range, protection, maximum, inheritance, copyOnWrite, at: position)
      return range
    }
  }

  private func check(
    _ object: MemoryObject?, offset: PageIndex, _ range: AddressRange, _ protection: Protection,
    _ maximum: Protection
  ) throws(HoldfastError) {
    guard !range.isEmpty, geometry.isPageAligned(range) else {
      throw HoldfastError(
        .invalidArgument, at: range.start, "a mapping is not empty and starts and ends on a page")
    }
    guard bounds.contains(range) else {
      throw HoldfastError(
        .invalidArgument, at: range.start, "a mapping lies within the address space")
    }
    guard protection.isSubset(of: maximum) else {
      throw HoldfastError(
        .invalidArgument, at: range.start, "the protection \(protection) passes \(maximum)")
    }
    if let object {
      let pages = geometry.pages(in: range.length)
      guard offset.rawValue <= object.size.rawValue,
        pages.rawValue <= object.size.rawValue - offset.rawValue
      else {
        throw HoldfastError(
          .invalidArgument, at: range.start, "the mapping passes the object's end")
      }
    }
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

  /// Unmaps a range; what is wired is unwired first, what is not mapped is passed over (FreeBSD:
  /// `vm_map_delete`). Waits for entries in transition.
  ///
  /// - Throws: invalidArgument for an unaligned range; resourceShortage where the pmap cannot split
  ///   what it has at the ends of the range. Nothing has changed then.
  /// - Complexity: O(entries + runs of their pages). Takes the lock exclusive.
  public func remove(_ range: AddressRange) throws(HoldfastError) {
    guard geometry.isPageAligned(range) else {
      throw HoldfastError(.invalidArgument, at: range.start, "a range starts and ends on a page")
    }
    if range.isEmpty { return }
    lock.lockExclusive()
    defer { lock.unlock() }
    try pmap.prepareToSplit(range)
    while true {
      let position = positionLocked(after: range.start)
      guard position < entries.count, entries[position].range.start < range.end else { return }
      if entries[position].transition != nil {
        waitForTransitionLocked(exclusive: true)
        continue
      }
      discardLocked(entries.remove(at: clipLocked(position, to: range)))
    }
  }
}
