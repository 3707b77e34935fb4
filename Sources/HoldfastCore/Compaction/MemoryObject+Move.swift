internal import Synchronization

/// Moves of pages to other frames. Only pages that are valid and neither busy nor wired move.
extension MemoryObject {
  /// Moves pages and their contents to other frames. All their translations are removed, in this
  /// object's mappings and in those of the objects above, so that the next access faults. The pages
  /// are busy meanwhile. Called without locks; waits for no busy page.
  ///
  /// - Parameters:
  ///   - from: the first frame that the pages are expected to have.
  ///   - destination: as many frames, which the caller allocated.
  /// - Returns: false where the pages have other frames or must not move now; only translations may
  ///   have changed then. Otherwise the old frames are the caller's.
  /// - Complexity: O(runs · log mappings + mappings of the pages), and the pages where there are objects above.
  func move(_ range: PageRange, from: Frame, to destination: Frame) -> Bool {
    guard lock.withLock({ claimLocked(range, from) }) else { return false }
    defer { pagesChanged.announce() }
    // While the pages are busy no thread enters, copies or wires them.
    do throws(HoldfastError) {
      try untilChainsRest { () throws(HoldfastError) in
        try forEachMapping(of: range) { (record, addresses) throws(HoldfastError) in
          try record.pmap.prepareToSplit(addresses)
          record.pmap.remove(addresses)
        }
      }
    } catch {
      // Translations that were removed are made again by the next faults.
      lock.withLock { pages.update(in: range) { $0.isBusy = false } }
      return false
    }
    memory.store.copy(from: FrameRun(from, range.count), to: destination)
    lock.withLock {
      pages.remove(in: range) { _, _ in }
      pages.insert(
        range.count, at: range.start,
        PageState(frame: destination, isValid: true, isBusy: false))
    }
    return true
  }

  /// Makes pages busy if all of them have the expected frames and may move.
  private func claimLocked(_ range: PageRange, _ from: Frame) -> Bool {
    guard references > 0 else { return false }
    var isMovable = true
    pages.forEach(in: range) { part, state in
      guard let state, state.frame == from + (part.start - range.start) else {
        isMovable = false
        return false
      }
      isMovable = state.isValid && !state.isBusy && state.wireCount == 0
      return isMovable
    }
    if isMovable { pages.update(in: range) { $0.isBusy = true } }
    return isMovable
  }

  /// Calls `walk`, which walks up from this object without its lock, until no mapping changed its
  /// top object, and no chain its objects, during the walk.
  func untilChainsRest(_ walk: () throws(HoldfastError) -> Void) throws(HoldfastError) {
    let state = memory.state
    var before: UInt64
    repeat {
      before = state.chainChanges.load(ordering: .sequentiallyConsistent)
      try walk()
    } while state.chainChanges.load(ordering: .sequentiallyConsistent) != before
  }

  /// Calls `body` with each mapping that may have translations of this object's pages and their
  /// addresses: its own, and those of objects above in which the pages are absent. The lock of the
  /// mapping's object is held meanwhile, and no other.
  private func forEachMapping(
    of range: PageRange, _ body: (MappingRecord, AddressRange) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    lock.lock()
    do throws(HoldfastError) {
      try mappings.forEach(overlapping: range) { (_, record) throws(HoldfastError) in
        try body(record, addresses(of: record.pages.clamped(to: range), record))
      }
    } catch {
      lock.unlock()
      throw error
    }
    lock.unlock()
    try forEachMappingAbove(range, body)
  }

  /// The same for the mappings of objects above alone.
  func forEachMappingAbove(
    _ range: PageRange, _ body: (MappingRecord, AddressRange) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    for shadow in lock.withLock({ shadows.values.map(\.object) }) {
      for part in shadow.gaps(over: range, of: self) { try shadow.forEachMapping(of: part, body) }
    }
  }

  /// The pages of this object through which pages of the one below can be seen, because they are
  /// absent here. Takes the object's lock.
  private func gaps(over range: PageRange, of below: MemoryObject) -> [PageRange] {
    lock.withLock {
      guard let backing, backing.object === below else { return [] }
      let offset = backing.offset.rawValue
      let end = min(range.end.rawValue - min(range.end.rawValue, offset), size.rawValue)
      let start = range.start.rawValue - min(range.start.rawValue, offset)
      guard start < end else { return [] }
      var gaps: [PageRange] = []
      pages.forEach(in: PageRange(from: PageIndex(start), to: PageIndex(end))) { part, state in
        if state == nil { gaps.append(part) }
        return true
      }
      return gaps
    }
  }
}
