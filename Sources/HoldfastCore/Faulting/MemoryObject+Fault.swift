extension MemoryObject {
  /// A fault's claim of a page. If the page is there or can be made from a zeroed frame, calls
  /// `enter` with the run that holds it, under the locks of the chain, so that it cannot go
  /// meanwhile, and returns `resident`. Takes these locks.
  ///
  /// A wire has a claim of its own (`claimForWire`), because only the walk and the work are the
  /// same: a fault takes a frame, or a block, under these locks and uses the page at once; a wire
  /// offers a frame that it took and zeroed a superpage at a time, and keeps the page busy.
  ///
  /// - Parameters:
  ///   - bounds: the pages of the map entry; the run is cut to them.
  ///   - writes: whether the guest is about to write, so that a page below has to be copied.
  ///   - granularity: how much to zero or copy at once where possible.
  ///   - isNoted: whether the pager of a resident page is told (`Pager.noteFault`).
  ///   - enter: gets the run in this object's indexes, and whether it may be written to.
  /// - Returns: never `absent`; the range of `resident` is what was entered.
  /// - Throws: what `enter` throws; resourceShortage where translations of the page below cannot be
  ///   split.
  func claimForFault(
    _ index: PageIndex, in bounds: PageRange, writes: Bool,
    granularity: FaultGranularity = .basePage, isNoted: Bool = false,
    enter: (PageRun, _ isTop: Bool) throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> PageClaim {
    let wanted = largePage(around: index, in: bounds, granularity)
    return try withChain(index, in: bounds) { (claim) throws(HoldfastError) in
      switch claim {
      case .resident(var page):
        let isTop = page.holder === self
        if isNoted { page.holder.pager?.noteFault(at: page.index, writes: writes) }
        guard isTop || !writes else {
          if let wanted, page.range.contains(wanted),
            let copy = try copyLocked(wanted, of: page, at: index)
          {
            return copy
          }
          let one = PageRange(start: index, count: .one)
          return try copyLocked(one, of: page, at: index) ?? .failed(memory.shortage)
        }
        // The run may begin before the page. A superpage of the first level is enough of it.
        let part = page.range.clamped(to: PageRange(around: index, order: Geometry.levelShift))
        let first = Frame(page.state.frame.rawValue - (index - part.start).rawValue)
        try enter(
          PageRun(index: part.start, frames: FrameRun(first, part.count), isFresh: false), isTop)
        page.range = part
        return .resident(page)
      case .paged(let object, let own, let count, _):
        return .paged(object, own, count: count, isLarge: wanted != nil)
      case .absent(let gap):
        if let wanted, !gap.contains(wanted), isAbsentPagedLocked(wanted) {
          // A hole among pages that the pager has: read the large page around it.
          return .paged(self, index, count: .one, isLarge: true)
        }
        if let wanted, gap.contains(wanted) || isAbsentPlainLocked(wanted),
          let made = try fillLocked(wanted, around: index, in: bounds, enter)
        {
          return made
        }
        let page = PageRange(start: index, count: .one)
        return try fillLocked(page, around: index, in: bounds, enter) ?? .failed(memory.shortage)
      default: return claim
      }
    }
  }

  /// The large page around a page, if that granularity is wanted and all of it is within `bounds`.
  private func largePage(
    around index: PageIndex, in bounds: PageRange, _ granularity: FaultGranularity
  ) -> PageRange? {
    let order = memory.geometry.largePageOrder
    guard granularity == .largePage, order > 0, memory.geometry.superpageLevels > 0 else {
      return nil
    }
    let region = PageRange(around: index, order: order)
    return bounds.contains(region) && mapped.contains(region) ? region : nil
  }

  /// Whether all of an aligned large page is absent in an object without backing object and pager.
  private func isAbsentPlainLocked(_ region: PageRange) -> Bool {
    backing == nil && pager == nil
      && pages.isAbsent(around: region.start, order: memory.geometry.largePageOrder)
  }

  /// Whether all of an aligned large page is absent in an object with a pager.
  func isAbsentPagedLocked(_ region: PageRange) -> Bool {
    pager != nil && pages.isAbsent(around: region.start, order: memory.geometry.largePageOrder)
  }

  /// Frames for one page, or a whole block for a large page; nil where there is none.
  private func framesLocked(for range: PageRange, dirty: inout [FrameRun]) -> Frame? {
    guard range.count > .one else {
      return framesLocked(for: range.start, limit: .one, dirty: &dirty)?.start
    }
    guard placement == nil else { return nil }
    let order = memory.geometry.largePageOrder
    return memory.allocator.allocateNow(order: order, dirty: &dirty)?.run.start
  }

  /// Makes pages of zeros, which are valid at once if there are zeroed frames. Nil where there is
  /// no frame.
  private func fillLocked(
    _ range: PageRange, around index: PageIndex, in bounds: PageRange,
    _ enter: (PageRun, _ isTop: Bool) throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> PageClaim? {
    var dirty: [FrameRun] = []
    guard let frame = framesLocked(for: range, dirty: &dirty) else { return nil }
    let isZeroed = dirty.isEmpty
    let state = PageState(frame: frame, isValid: isZeroed, isBusy: !isZeroed)
    pages.insert(range.count, at: range.start, state)
    guard isZeroed else { return .fresh(range, dirty: dirty) }
    do throws(HoldfastError) {
      var part = range
      var first = frame
      // With its last page, a superpage is entered as a whole.
      if let (run, state) = pages.run(at: range.start, in: bounds), run.contains(range) {
        part = run.clamped(to: PageRange(around: range.start, order: Geometry.levelShift))
        first = state.advanced(by: part.start - run.start).frame
      }
      try enter(
        PageRun(index: part.start, frames: FrameRun(first, part.count), isFresh: false), true)
      return .resident(
        ResidentPage(
          holder: self, index: index, state: state.advanced(by: index - range.start), range: part,
          isNew: true))
    } catch {
      // The guest may have written to the page before the failure.
      removeLocked(range, zeroed: false)
      throw error
    }
  }

  /// Begins the copy of pages below that lie in one run. Nil where there is no frame.
  private func copyLocked(
    _ range: PageRange, of page: ResidentPage, at index: PageIndex
  ) throws(HoldfastError) -> PageClaim? {
    try prepareCopyLocked(range)
    var dirty: [FrameRun] = []
    guard let frame = framesLocked(for: range, dirty: &dirty) else { return nil }
    copiesUnderWay += 1
    return beginCopyLocked(range, of: page, at: index, to: frame)
  }

  /// Marks pages that were zeroed valid, and ends their busy state. Takes the object's lock.
  func finishFault(_ range: PageRange) {
    lock.withLock {
      pages.update(in: range) { state in
        state.isValid = true
        state.isBusy = false
      }
    }
    pagesChanged.announce()
  }
}
