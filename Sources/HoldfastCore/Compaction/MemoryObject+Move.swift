internal import Synchronization

/// Moving pages to other frames. Only pages that are valid and neither busy nor wired move.
extension MemoryObject {
  /// Moves pages to other frames, with what they hold: every translation of them goes, in this object's
  /// mappings and in those of the objects above, and the next touch faults. Called without locks.
  ///
  /// - Parameters:
  ///   - from: where the pages are thought to be.
  ///   - destination: as many frames, the caller's.
  /// - Returns: false where the pages are not there or may not move now; nothing has changed then.
  ///   Otherwise the old frames are the caller's.
  /// - Complexity: O(runs + mappings), and the pages where there are objects above.
  func move(_ range: PageRange, from: Frame, to destination: Frame) -> Bool {
    guard lock.withLock({ claimLocked(range, from) }) else { return false }
    defer { pagesChanged.announce() }
    // While the pages are busy nobody makes a translation of them, nor copies nor wires them. Those that
    // there are may be another object's by the time the walk comes there: then it begins anew.
    let state = memory.state
    var before: UInt64
    repeat {
      before = state.chainChanges.load(ordering: .sequentiallyConsistent)
      do throws(HoldfastError) {
        try forEachMapping(of: range) { (record, addresses) throws(HoldfastError) in
          try record.pmap.prepareToSplit(addresses)
        }
        try forEachMapping(of: range) { record, addresses in record.pmap.remove(addresses) }
      } catch {
        // What was taken away comes again at the next touch.
        lock.withLock { pages.update(in: range) { $0.isBusy = false } }
        return false
      }
    } while state.chainChanges.load(ordering: .sequentiallyConsistent) != before
    memory.store.copy(from: FrameRun(from, range.count), to: destination)
    lock.withLock {
      pages.remove(in: range) { _, _ in }
      pages.insert(
        range.count, at: range.start,
        PageState(frame: destination, isValid: true, isBusy: false))
    }
    return true
  }

  /// Makes pages busy if all of them are where they are thought to be and may move.
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

  /// Calls `body`, under the object's lock concerned, with each mapping that may have translations of
  /// this object's pages, and their addresses: its own, and those of objects above that have nothing
  /// there.
  private func forEachMapping(
    of range: PageRange, _ body: (MappingRecord, AddressRange) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    lock.lock()
    let above = shadows.values.compactMap(\.object)
    do throws(HoldfastError) {
      for record in mappings.values where record.pages.overlaps(range) {
        let part = PageRange(
          max(record.pages.start, range.start), min(record.pages.end, range.end))
        try body(record, addresses(of: part, record))
      }
    } catch {
      lock.unlock()
      throw error
    }
    lock.unlock()
    for shadow in above {
      for part in shadow.gaps(over: range, of: self) { try shadow.forEachMapping(of: part, body) }
    }
  }

  /// The pages of this object that show pages of the one below: none is here. Takes the lock.
  private func gaps(over range: PageRange, of below: MemoryObject) -> [PageRange] {
    lock.withLock {
      guard let backing, backing.object === below else { return [] }
      let offset = backing.offset.rawValue
      let end = min(range.end.rawValue - min(range.end.rawValue, offset), size.rawValue)
      let start = range.start.rawValue - min(range.start.rawValue, offset)
      guard start < end else { return [] }
      var gaps: [PageRange] = []
      pages.forEach(in: PageRange(PageIndex(start), PageIndex(end))) { part, state in
        if state == nil { gaps.append(part) }
        return true
      }
      return gaps
    }
  }
}
