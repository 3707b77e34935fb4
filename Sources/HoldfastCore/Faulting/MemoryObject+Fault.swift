extension MemoryObject {
  /// What a fault finds at a page.
  enum FaultStep {
    /// The page is there, in this range; the body entered it. `isNew`: a page of zeros, made now.
    case done(PageRange, isNew: Bool)
    /// Another thread works on the page: wait, then fault again.
    case busy(MemoryObject, Event.Ticket)
    /// The pages are new, busy and invalid; of their frames these have to be zeroed.
    case zero(PageRange, [FrameRun])
    /// The pages are new, busy and invalid in frames from `to` on, which have to become copies of those
    /// below, which are busy too.
    case copy(PageRange, below: MemoryObject, PageIndex, from: Frame, to: Frame)
    /// The page has to be paged in first, with all of its large page where `isLarge` and nothing of that is
    /// there.
    case paged(MemoryObject, PageIndex, count: PageCount, isLarge: Bool)
    case failed(HoldfastError)
  }

  /// Looks a page up and, if it is there or can be made from a zeroed frame, calls `enter` with the
  /// run that holds it, under the locks of the chain, so that it cannot go meanwhile. Takes these
  /// locks.
  ///
  /// - Parameters:
  ///   - bounds: the pages of the map entry; the run is cut to them.
  ///   - writes: whether the guest is about to write, so that a page below has to be copied.
  ///   - granularity: how much to zero or copy at once where it can be had.
  ///   - enter: gets the run in this object's indexes, and whether it may be written to.
  func fault(
    _ index: PageIndex, in bounds: PageRange, writes: Bool,
    granularity: FaultGranularity = .basePage,
    enter: (PageRun, _ isTop: Bool) throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> FaultStep {
    let wanted = largePage(around: index, in: bounds, granularity)
    return try withChain(index, in: bounds) { (hit) throws(HoldfastError) in
      switch hit {
      case .resident(let object, let place, let state, let range):
        if state.isBusy { return .busy(object, object.pagesChanged.ticket()) }
        let isTop = object === self
        guard isTop || !writes else {
          if let wanted, range.contains(wanted) {
            let ahead = index - wanted.start
            let first = Frame(state.frame.rawValue - ahead.rawValue)
            let start = PageIndex(place.rawValue - ahead.rawValue)
            if let step = try copyLocked(wanted, object, start, first) { return step }
          }
          let page = PageRange(start: index, count: .one)
          return try copyLocked(page, object, place, state.frame)
            ?? .failed(HoldfastError(.resourceShortage, "no free frame is left"))
        }
        // The state is the page's own; the run may begin before it. Of a large one a superpage of the
        // first level is enough.
        let part = range.clamped(to: PageRange(around: index, order: Geometry.levelShift))
        let first = Frame(state.frame.rawValue - (index - part.start).rawValue)
        try enter(
          PageRun(index: part.start, frames: FrameRun(first, part.count), isFresh: false), isTop)
        return .done(part, isNew: false)
      case .paged(let object, let place, let count):
        return .paged(object, place, count: count, isLarge: wanted != nil)
      case .absent(let gap):
        if let wanted, !gap.contains(wanted), isAbsentPagedLocked(wanted) {
          // Zero, among pages that the pager has.
          return .paged(self, index, count: .one, isLarge: true)
        }
        if let wanted, gap.contains(wanted) || isAbsentPlainLocked(wanted),
          let step = try fillLocked(wanted, in: bounds, enter)
        {
          return step
        }
        return try fillLocked(PageRange(start: index, count: .one), in: bounds, enter)
          ?? .failed(HoldfastError(.resourceShortage, "no free frame is left"))
      }
    }
  }

  /// The large page around one that all lies within `bounds`, if that much is wanted.
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

  /// Whether all of an aligned large page is absent, here and, as there is nothing below, at all.
  private func isAbsentPlainLocked(_ region: PageRange) -> Bool {
    backing == nil && pager == nil
      && pages.isAbsent(around: region.start, order: memory.geometry.largePageOrder)
  }

  /// Whether all of an aligned large page is absent here, and a part of it the pager's.
  private func isAbsentPagedLocked(_ region: PageRange) -> Bool {
    pager != nil && pages.isAbsent(around: region.start, order: memory.geometry.largePageOrder)
  }

  /// Frames for one page, or a whole block for a large page; nil where there is none.
  private func framesLocked(for range: PageRange, dirty: inout [FrameRun]) -> Frame? {
    guard range.count > .one else {
      return framesLocked(for: range.start, limit: .one, dirty: &dirty)?.start
    }
    guard placement == nil else { return nil }
    let order = memory.geometry.largePageOrder
    return memory.allocator.allocate(order: order, dirty: &dirty)?.run.start
  }

  /// Makes pages of zeros, at once if there are zeroed frames. Nil where there is no frame.
  private func fillLocked(
    _ range: PageRange, in bounds: PageRange,
    _ enter: (PageRun, _ isTop: Bool) throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> FaultStep? {
    var dirty: [FrameRun] = []
    guard let frame = framesLocked(for: range, dirty: &dirty) else { return nil }
    let isZeroed = dirty.isEmpty
    pages.insert(
      range.count, at: range.start, PageState(frame: frame, isValid: isZeroed, isBusy: !isZeroed))
    guard isZeroed else { return .zero(range, dirty) }
    do throws(HoldfastError) {
      var part = range
      var first = frame
      // With the last page of a superpage the whole of it.
      if let (run, state) = pages.run(at: range.start, in: bounds), run.contains(range) {
        part = run.clamped(to: PageRange(around: range.start, order: Geometry.levelShift))
        first = state.advanced(by: part.start - run.start).frame
      }
      try enter(
        PageRun(index: part.start, frames: FrameRun(first, part.count), isFresh: false), true)
      return .done(part, isNew: true)
    } catch {
      // Not known to be zero any more: the guest may have reached it for a moment.
      removeLocked(range, zeroed: false)
      throw error
    }
  }

  /// Begins the copy of pages below, whose frames follow each other. Nil where there is no frame, or,
  /// for a large page, one of it is wired, which is replaced page by page.
  private func copyLocked(
    _ range: PageRange, _ below: MemoryObject, _ place: PageIndex, _ source: Frame
  ) throws(HoldfastError) -> FaultStep? {
    if range.count > .one,
      mappings.values.contains(where: { $0.isWired && $0.pages.overlaps(range) })
    {
      return nil
    }
    try prepareCopyLocked(range)
    var dirty: [FrameRun] = []
    guard let frame = framesLocked(for: range, dirty: &dirty) else { return nil }
    pages.insert(
      range.count, at: range.start, PageState(frame: frame, isValid: false, isBusy: true))
    below.pages.update(in: PageRange(start: place, count: range.count)) { $0.isBusy = true }
    copiesUnderWay += 1
    return .copy(range, below: below, place, from: source, to: frame)
  }

  /// Marks pages that were zeroed valid, and lets others have them. Takes the object's lock.
  func finishFault(_ range: PageRange) {
    lock.withLock {
      pages.update(in: range) { state in
        state.isValid = true
        state.isBusy = false
      }
    }
    pagesChanged.announce()
  }

  /// Copies a page of the chain up into this object, whoever has it wired there, unless it is here.
  /// Waits for busy pages. Called without locks.
  func copyUp(_ index: PageIndex) throws(HoldfastError) {
    while true {
      let step = try fault(index, in: PageRange(start: index, count: .one), writes: true) { _, _ in
      }
      if try advance(step) { return }
    }
  }

  /// Does the work of a step that has to be done without locks.
  ///
  /// - Returns: whether the page has been entered; otherwise fault again.
  func advance(_ step: FaultStep) throws(HoldfastError) -> Bool {
    switch step {
    case .done: return true
    case .busy(let object, let ticket): object.pagesChanged.wait(since: ticket)
    case .zero(let range, let dirty):
      memory.store.zero(dirty)
      finishFault(range)
    case .copy(let range, let below, let place, let source, let frame):
      memory.store.copy(from: FrameRun(source, range.count), to: frame)
      defer { below.endCopy(place, count: range.count) }
      try finishCopy(range, of: below, place, from: source)
    case .paged(let object, let place, let count, let isLarge):
      try object.pageIn(place, limit: count, isLarge: isLarge)
    case .failed(let error): throw error
    }
    return false
  }

  /// Waits until no copy is being made to this object by a fault. Those who make one wait for
  /// nothing, so this may be called with an address space's lock held.
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
