/// Copies of pages below, made for a write.
extension MemoryObject {
  /// Prepares for copies at some pages: the translations that mappings have of the pages below,
  /// perhaps parts of larger ones, can be removed or replaced afterwards without fail. Needs the
  /// object's lock.
  ///
  /// - Throws: resourceShortage.
  func prepareCopyLocked(_ pages: PageRange) throws(HoldfastError) {
    try mappings.forEach(overlapping: pages) { (_, record) throws(HoldfastError) in
      try record.pmap.prepareToSplit(addresses(of: record.pages.clamped(to: pages), record))
    }
  }

  /// Makes new pages from `frame` on, and both sides of the copy busy. `prepareCopyLocked` has
  /// succeeded. Needs the locks of this object and of the holder.
  ///
  /// - Parameters:
  ///   - range: the new pages, absent here.
  ///   - page: one of the pages below, the one at `index`.
  func beginCopyLocked(
    _ range: PageRange, of page: ResidentPage, at index: PageIndex, to frame: Frame
  ) -> PageClaim {
    let ahead = (index - range.start).rawValue
    let first = PageIndex(page.index.rawValue - ahead)
    pages.insert(
      range.count, at: range.start, PageState(frame: frame, isValid: false, isBusy: true))
    page.holder.pages.update(in: PageRange(start: first, count: range.count)) { $0.isBusy = true }
    return .copy(
      PageCopy(
        range: range, below: page.holder, index: first,
        source: Frame(page.state.frame.rawValue - ahead), frame: frame))
  }

  /// Replaces pages below by a fault's copies, whose contents are complete: the copies become
  /// valid, and the translations that mappings have of the pages below go. Takes this object's
  /// lock. The pages below stay busy.
  func finishCopy(_ copy: PageCopy) {
    lock.withLock {
      copiesUnderWay -= 1
      mappings.forEach(overlapping: copy.range) { _, record in
        record.pmap.remove(addresses(of: record.pages.clamped(to: copy.range), record))
      }
      pages.update(in: copy.range) { state in
        state.isValid = true
        state.isBusy = false
      }
    }
    pagesChanged.announce()
  }

  /// Removes the translations that mappings of the objects above have of the pages below a range
  /// where this object has new pages. These are busy, so no thread enters, copies or wires them.
  /// Takes the locks of the objects above in turn.
  ///
  /// - Parameter isFault: whether a failure ends the copy, which is a fault's; a wire undoes its
  ///   copies itself.
  /// - Throws: resourceShortage, where a translation cannot be split.
  func removeTranslationsAbove(_ range: PageRange, isFault: Bool) throws(HoldfastError) {
    if lock.withLock({ shadows.isEmpty }) { return }
    do throws(HoldfastError) {
      try untilChainsRest { () throws(HoldfastError) in
        try forEachMappingAbove(range) { (record, addresses) throws(HoldfastError) in
          try record.pmap.prepareToSplit(addresses)
          record.pmap.remove(addresses)
        }
      }
    } catch {
      guard isFault else { throw error }
      lock.withLock {
        copiesUnderWay -= 1
        removeLocked(range, zeroed: false)
      }
      pagesChanged.announce()
      throw error
    }
  }

  /// Ends the busy state of pages that were copied from. Takes this object's lock.
  func endCopy(_ index: PageIndex, count: PageCount = .one) {
    lock.withLock {
      pages.update(in: PageRange(start: index, count: count)) { $0.isBusy = false }
    }
    pagesChanged.announce()
  }

  /// Removes what mappings other than `entry` have entered of the pages below a range where this
  /// object has new pages. None of these translations is wired. Takes the object's lock.
  func hideBelow(_ range: PageRange, except entry: ObjectIdentifier) {
    lock.withLock { removeTranslationsLocked(of: range, except: entry) }
  }

  /// As `hideBelow`, with the object's lock held.
  func removeTranslationsLocked(of range: PageRange, except entry: ObjectIdentifier) {
    mappings.forEach(overlapping: range) { identity, record in
      if identity == entry { return }
      record.pmap.remove(addresses(of: record.pages.clamped(to: range), record))
    }
  }

  /// Waits until no fault is making a copy for this object. May be called with an address space's
  /// lock held: a fault that copies takes only objects' and pmaps' locks until it has finished, and
  /// waits for nothing but, perhaps, what a pmap's `enter` and `remove` wait for. A wire's copies
  /// do not count: its entry is in transition, which keeps out what would have to wait for them.
  func waitForCopies() {
    while true {
      lock.lock()
      let isDone = copiesUnderWay == 0
      let ticket = pagesChanged.ticket()
      lock.unlock()
      if isDone { return }
      pagesChanged.wait(since: ticket)
    }
  }
}
