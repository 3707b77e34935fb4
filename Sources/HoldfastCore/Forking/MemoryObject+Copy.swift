/// Copies of pages below, made for a write.
extension MemoryObject {
  /// Prepares for copies at some pages: the translations that mappings have of the pages below,
  /// perhaps parts of larger ones, can be removed or replaced afterwards without fail. Needs the
  /// object's lock.
  ///
  /// - Throws: resourceShortage.
  func prepareCopyLocked(_ pages: PageRange) throws(HoldfastError) {
    for record in mappings.values where record.pages.overlaps(pages) {
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
  /// valid, wired translations are replaced and their wirings move to the copies, other
  /// translations go. Takes the locks of this object and then of the one below. The pages below
  /// stay busy.
  ///
  /// - Parameter copy: of a single page where a mapping of it is wired.
  /// - Throws: where a wired translation cannot be replaced; the copy is gone then.
  func finishCopy(_ copy: PageCopy) throws(HoldfastError) {
    let copied = copy.range
    defer { pagesChanged.announce() }
    lock.lock()
    defer { lock.unlock() }
    copiesUnderWay -= 1
    guard let frame = pages[copied.start]?.frame else { preconditionFailure("a copy is missing") }
    let wired = mappings.values.filter {
      $0.isWired && $0.isEntered && $0.pages.overlaps(copied)
    }
    if copied.count > .one, !wired.isEmpty {
      // Wired since the copy began: a wired page is replaced page by page.
      removeLocked(copied, zeroed: false)
      return
    }
    var moved: UInt16 = 0
    do throws(HoldfastError) {
      for record in wired {
        try record.pmap.enter(
          FrameRun(frame, .one), at: addresses(of: copied, record).start,
          protection: record.protection, wired: true, reach: nil)
        moved += 1
      }
    } catch {
      for record in wired.prefix(Int(moved) + 1) { restore(copy.source, at: copied.start, record) }
      removeLocked(copied, zeroed: false)
      throw error
    }
    for record in mappings.values
    where !(record.isWired && record.isEntered) && record.pages.overlaps(copied) {
      record.pmap.remove(addresses(of: record.pages.clamped(to: copied), record))
    }
    pages.update(in: copied) { state in
      state.isValid = true
      state.isBusy = false
      state.wireCount += moved
    }
    guard moved > 0 else { return }
    copy.below.lock.withLock {
      copy.below.pages.update(in: PageRange(start: copy.index, count: .one)) { state in
        precondition(state.wireCount >= moved, "a wiring is missing below a copy")
        state.wireCount -= moved
      }
    }
  }

  /// Enters the page below again, as it was before a copy was to replace it.
  private func restore(_ source: Frame, at index: PageIndex, _ record: MappingRecord) {
    let page = PageRange(start: index, count: .one)
    do throws(HoldfastError) {
      try record.pmap.enter(
        FrameRun(source, .one), at: addresses(of: page, record).start,
        protection: record.protection.subtracting(.write), wired: true, reach: nil)
    } catch {
      // There was room for it to be split (`prepareCopyLocked`), and splitting is all that it took.
      preconditionFailure("a wired translation is lost: \(error)")
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
    for (identity, record) in mappings
    where identity != entry && record.pages.overlaps(range) {
      record.pmap.remove(addresses(of: record.pages.clamped(to: range), record))
    }
  }

  /// Copies a page of the chain up into this object, unless this object has it already; wirings of
  /// the page below move to the copy. Waits for busy pages. Called without objects' locks;
  /// something that the caller holds, such as a transition of the entry, keeps the object.
  func copyUp(_ index: PageIndex) throws(HoldfastError) {
    let page = PageRange(start: index, count: .one)
    while true {
      let claim = try claimForFault(index, in: page, writes: true) { _, _ in }
      if case .resident = claim { return }
      try advance(claim)
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
