/// The topmost resident page of a shadow chain at an index, or the place where it would come from.
enum ChainHit {
  /// Resident in `object`, which may be the top one. `range` has the pages around, in the top
  /// object's indexes, that lie in the same run and have nothing above them.
  case resident(MemoryObject, PageIndex, PageState, range: PageRange)
  /// Nowhere; the pager of `object` has it there.
  case paged(MemoryObject, PageIndex, count: PageCount)
  /// Nowhere: zero, and so are the pages around it in the range, if not more.
  case absent(PageRange)
}

extension MemoryObject {
  /// Locks this object and those below it as far as the topmost resident page at `index`, finds that,
  /// and calls `body` with all of them locked, so that none of it can change meanwhile.
  ///
  /// - Parameter bounds: what `range` of a hit is cut to, in this object's indexes.
  /// - Complexity: O(objects of the chain).
  func withChain<Result>(
    _ index: PageIndex, in bounds: PageRange, _ body: (ChainHit) throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    try descend(index, depth: .zero, bounds, body)
  }

  /// Looks for a page from this object of a chain on down.
  ///
  /// - Parameters:
  ///   - index: the page, in this object's indexes.
  ///   - depth: how far these are ahead of the top object's.
  ///   - range: pages around that are absent in all the objects above.
  private func descend<Result>(
    _ index: PageIndex, depth: PageCount, _ range: PageRange,
    _ body: (ChainHit) throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    lock.lock()
    defer { lock.unlock() }
    let end = PageIndex(min((range.end + depth).rawValue, size.rawValue))
    let around = PageRange(range.start + depth, end)
    func inTop(_ range: PageRange) -> PageRange {
      PageRange(
        PageIndex(range.start.rawValue - depth.rawValue),
        PageIndex(range.end.rawValue - depth.rawValue))
    }
    if let (run, state) = pages.run(at: index, in: around) {
      let own = state.advanced(by: index - run.start)
      return try body(.resident(self, index, own, range: inTop(run)))
    }
    // A fault on a plain object does not pay for a look around.
    let isPlainTop = depth == .zero && backing == nil && pager == nil
    if isPlainTop { return try body(.absent(PageRange(start: index, count: .one))) }
    let gap = pages.gap(at: index, in: around)
    if let pager {
      let count = pager.pages(at: index, limit: gap.end - index)
      if count > .zero { return try body(.paged(self, index, count: count)) }
      return try body(.absent(inTop(pager.hole(around: index, in: gap).clamped(to: gap))))
    }
    guard let backing, (index + backing.offset).rawValue < backing.object.size.rawValue else {
      return try body(.absent(inTop(gap)))
    }
    return try backing.object.descend(
      index + backing.offset, depth: depth + backing.offset, inTop(gap), body)
  }

  /// Calls `body` with the topmost resident pages of a range, in ascending order, a run at a time: the
  /// pages in this object's indexes, where they are, and the state of the first. Takes the locks of
  /// the chain; `body` may not call back.
  ///
  /// - Complexity: O(runs of the chain · objects of the chain).
  func forEachTopmost(
    in range: PageRange, _ body: (PageRange, MemoryObject, PageIndex, PageState) -> Void
  ) {
    if isPlain {
      forEachResident(in: range) { run, state in body(run, self, run.start, state) }
      return
    }
    var index = range.start
    while index < range.end {
      do throws(HoldfastError) {
        index = try withChain(index, in: PageRange(index, range.end)) { hit in
          switch hit {
          case .resident(let object, let place, let state, let run):
            body(run, object, place, state)
            return run.end
          case .paged(_, _, let count): return index + count
          case .absent(let gap): return gap.end
          }
        }
      } catch {
        preconditionFailure("looking a page up does not throw: \(error)")
      }
    }
  }

  /// Calls `body` with the parts of a range that may hold anything but zeros, in ascending order: what is
  /// resident or in the making somewhere in the chain, and what a pager has. Takes the locks of the
  /// chain; `body` may not call back.
  ///
  /// - Complexity: as `forEachTopmost`, and the pager's parts.
  func forEachPopulated(in range: PageRange, _ body: (PageRange) -> Void) {
    if isPlain {
      forEachResident(in: range) { run, _ in body(run) }
      return
    }
    var index = range.start
    while index < range.end {
      do throws(HoldfastError) {
        index = try withChain(index, in: PageRange(index, range.end)) { hit in
          switch hit {
          case .resident(_, _, _, let run):
            body(run)
            return run.end
          case .paged(_, _, let count):
            body(PageRange(start: index, count: count))
            return index + count
          case .absent(let gap): return gap.end
          }
        }
      } catch {
        preconditionFailure("looking a page up does not throw: \(error)")
      }
    }
  }

  /// The objects of the chain from this one down, for checks. Takes the locks in turn.
  package var chain: [MemoryObject] {
    var chain = [self]
    while let next = chain[chain.count - 1].lock.withLock({ chain[chain.count - 1].backing?.object }
    ) {
      chain.append(next)
    }
    return chain
  }

  /// The objects of the chain that others reach too, by a mapping or a shadow of their own, for one that
  /// maps this object. Takes the locks in turn.
  package var sharedPartOfChain: Set<ObjectIdentifier> {
    var shared: Set<ObjectIdentifier> = []
    for object in chain {
      let ways = object.lock.withLock { object.mappings.count + object.shadows.count }
      // Ours is one: a mapping of the top object, a shadow of each one below.
      if ways > 1 || !shared.isEmpty {
        shared.insert(ObjectIdentifier(object))
      }
    }
    return shared
  }

  /// Takes away what mappings other than `entry` have entered of the pages below a range, where
  /// pages of this object have come to lie. None of them is wired. Needs the object's lock.
  func removeTranslationsLocked(of range: PageRange, except entry: ObjectIdentifier?) {
    for (identity, record) in mappings
    where identity != entry && record.pages.overlaps(range) {
      let part = PageRange(
        max(record.pages.start, range.start), min(record.pages.end, range.end))
      record.pmap.remove(addresses(of: part, record))
    }
  }

  /// Sees to it that copies can come to lie at some pages: that the translations which other mappings
  /// have of them, perhaps parts of larger ones, can be taken away or replaced. Needs the object's lock.
  ///
  /// - Throws: resourceShortage.
  func prepareCopyLocked(_ pages: PageRange) throws(HoldfastError) {
    for record in mappings.values where record.pages.overlaps(pages) {
      try record.pmap.prepareToSplit(addresses(of: record.pages.clamped(to: pages), record))
    }
  }

  func addresses(of pages: PageRange, _ record: MappingRecord) -> AddressRange {
    let geometry = memory.geometry
    return AddressRange(
      record.start + geometry.bytes(pages.start - record.pages.start),
      record.start + geometry.bytes(pages.end - record.pages.start))
  }

  /// Puts copies, whose contents are there, in the place of the pages below that they were made of: they
  /// become valid, wired translations are replaced and their wirings moved up, others go. Takes the
  /// locks of this object and then of `below`. The pages below stay busy.
  ///
  /// - Parameter pages: a single page where a mapping of it is wired.
  /// - Throws: where a wired translation cannot be replaced; the copy is gone then.
  func finishCopy(
    _ copied: PageRange, of below: MemoryObject, _ place: PageIndex, from source: Frame
  ) throws(HoldfastError) {
    let index = copied.start
    defer { pagesChanged.announce() }
    lock.lock()
    defer { lock.unlock() }
    copiesUnderWay -= 1
    guard let frame = pages[index]?.frame else { preconditionFailure("a copy is missing") }
    let wired = mappings.values.filter {
      $0.isWired && $0.isEntered && $0.pages.overlaps(copied)
    }
    if copied.count > .one, !wired.isEmpty {
      // Wired since the copy began: a wired page's place is taken page by page.
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
      for record in wired.prefix(Int(moved) + 1) { restore(source, at: index, record) }
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
    below.lock.withLock {
      below.pages.update(in: PageRange(start: place, count: .one)) { state in
        precondition(state.wireCount >= moved, "a wiring is missing below a copy")
        state.wireCount -= moved
      }
    }
  }

  /// Enters the page below again, as it was before a copy was to take its place.
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
}
