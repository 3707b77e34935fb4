extension MemoryObject {
  /// What a fault finds at a page.
  enum FaultStep {
    /// The page is there; the body entered it.
    case done
    /// Another thread works on the page: wait, then fault again.
    case busy(MemoryObject, Event.Ticket)
    /// The page is new, busy and invalid in a frame that has to be zeroed.
    case zero(Frame)
    /// The page is new, busy and invalid in a frame that has to become a copy of the page below,
    /// which is busy too.
    case copy(below: MemoryObject, PageIndex, from: Frame, to: Frame)
    /// The page has to be paged in first.
    case paged(MemoryObject, PageIndex, count: PageCount)
    case failed(VMError)
  }

  /// Looks a page up and, if it is there or can be made from a zeroed frame, calls `enter` with the
  /// run that holds it, under the locks of the chain, so that it cannot go meanwhile. Takes these
  /// locks.
  ///
  /// - Parameters:
  ///   - bounds: the pages of the map entry; the run is cut to them.
  ///   - writes: whether the guest is about to write, so that a page below has to be copied.
  ///   - enter: gets the run in this object's indexes, and whether it may be written to.
  func fault(
    _ index: PageIndex, in bounds: PageRange, writes: Bool,
    enter: (WiredRun, _ isTop: Bool) throws(VMError) -> Void
  ) throws(VMError) -> FaultStep {
    try withChain(index, in: bounds) { (hit) throws(VMError) in
      switch hit {
      case .resident(let object, let place, let state, let range):
        if state.isBusy { return .busy(object, object.pagesChanged.ticket()) }
        let isTop = object === self
        guard isTop || !writes else { return try copyLocked(index, object, place, state) }
        // The state is the page's own; the run may begin before it.
        let ahead = index - range.start
        let first = Frame(state.frame.rawValue - ahead.rawValue)
        let run = WiredRun(
          index: range.start, frames: FrameRun(first, range.count), isFresh: false)
        try enter(run, isTop)
        return .done
      case .paged(let object, let place, let count):
        return .paged(object, place, count: count)
      case .absent:
        return try fillLocked(index, in: bounds, enter)
      }
    }
  }

  /// Makes a page of zeros, at once if there is a zeroed frame.
  private func fillLocked(
    _ index: PageIndex, in bounds: PageRange,
    _ enter: (WiredRun, _ isTop: Bool) throws(VMError) -> Void
  ) throws(VMError) -> FaultStep {
    var dirty: [FrameRun] = []
    guard let frame = framesLocked(for: index, limit: .one, dirty: &dirty)?.start else {
      return .failed(VMError(.resourceShortage, "no free frame is left"))
    }
    let isZeroed = dirty.isEmpty
    pages.insert(.one, at: index, PageState(frame: frame, isValid: isZeroed, isBusy: !isZeroed))
    guard isZeroed else { return .zero(frame) }
    do throws(VMError) {
      // With the last page of a superpage the whole of it.
      guard let (range, state) = pages.run(at: index, in: bounds) else {
        preconditionFailure("a page is gone")
      }
      let run = FrameRun(state.frame, range.count)
      try enter(WiredRun(index: range.start, frames: run, isFresh: false), true)
    } catch {
      // Not known to be zero any more: the guest may have reached it for a moment.
      removeLocked(PageRange(start: index, count: .one), zeroed: false)
      throw error
    }
    return .done
  }

  /// Begins the copy of a page below.
  private func copyLocked(
    _ index: PageIndex, _ below: MemoryObject, _ place: PageIndex, _ state: PageState
  ) throws(VMError) -> FaultStep {
    try prepareCopyLocked(index)
    var dirty: [FrameRun] = []
    guard let frame = framesLocked(for: index, limit: .one, dirty: &dirty)?.start else {
      return .failed(VMError(.resourceShortage, "no free frame is left"))
    }
    pages.insert(.one, at: index, PageState(frame: frame, isValid: false, isBusy: true))
    below.pages.update(in: PageRange(start: place, count: .one)) { $0.isBusy = true }
    copiesUnderWay += 1
    return .copy(below: below, place, from: state.frame, to: frame)
  }

  /// Marks a page that was zeroed valid, and lets others have it. Takes the object's lock.
  func finishFault(_ index: PageIndex) {
    lock.withLock {
      pages.update(in: PageRange(start: index, count: .one)) { state in
        state.isValid = true
        state.isBusy = false
      }
    }
    pagesChanged.announce()
  }

  /// Copies a page of the chain up into this object, whoever has it wired there, unless it is here.
  /// Waits for busy pages. Called without locks.
  func copyUp(_ index: PageIndex) throws(VMError) {
    while true {
      let step = try fault(index, in: PageRange(start: index, count: .one), writes: true) { _, _ in
      }
      if try advance(step, index) { return }
    }
  }

  /// Does the work of a step that has to be done without locks.
  ///
  /// - Returns: whether the page has been entered; otherwise fault again.
  func advance(_ step: FaultStep, _ index: PageIndex) throws(VMError) -> Bool {
    switch step {
    case .done: return true
    case .busy(let object, let ticket): object.pagesChanged.wait(since: ticket)
    case .zero(let frame):
      memory.store.zero([FrameRun(frame, .one)])
      finishFault(index)
    case .copy(let below, let place, let source, let frame):
      memory.store.copy(from: FrameRun(source, .one), to: frame)
      defer { below.endCopy(place) }
      try finishCopy(index, of: below, place, from: source)
    case .paged(let object, let place, let count): try object.pageIn(place, limit: count)
    case .failed(let error): throw error
    }
    return false
  }

  /// How many pages are asked of a pager at once.
  private static let cluster = PageCount(16)

  /// Brings pages in from the pager, from `index` on as far as they are missing and frames lie
  /// together. Called without locks.
  func pageIn(_ index: PageIndex, limit: PageCount) throws(VMError) {
    guard let pager else { return }
    let found = lock.withLock { () -> FrameRun?? in
      // Whoever asked may have lost the object meanwhile: nobody would free the pages of a dead one.
      // Or someone was faster: the caller looks again.
      guard references > 0, pages[index] == nil else { return .some(nil) }
      let end = PageIndex(min(size.rawValue, (index + min(limit, Self.cluster)).rawValue))
      let missing = pages.gap(at: index, in: PageRange(.zero, end)).end - index
      var dirty: [FrameRun] = []
      guard let run = framesLocked(for: index, limit: missing, dirty: &dirty) else { return nil }
      pages.insert(
        run.count, at: index, PageState(frame: run.start, isValid: false, isBusy: true))
      return .some(run)
    }
    guard let found else { throw VMError(.resourceShortage, "no free frame is left") }
    guard let run = found else { return }
    let range = PageRange(start: index, count: run.count)
    do throws(VMError) {
      try pager.read(range, into: run, memory.store)
    } catch {
      abandon(fresh: [range], zeroed: false)
      throw error
    }
    lock.withLock {
      pages.update(in: range) { state in
        state.isValid = true
        state.isBusy = false
      }
    }
    pagesChanged.announce()
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
