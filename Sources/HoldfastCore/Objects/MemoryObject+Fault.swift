extension MemoryObject {
  /// What a fault finds at a page.
  enum FaultStep {
    /// The page is there; the body entered it.
    case done
    /// Another thread works on the page: wait, then fault again.
    case busy(Event.Ticket)
    /// The page is new, busy and invalid in a frame that has to be zeroed.
    case zero(Frame)
    case failed(VMError)
  }

  /// Looks a page up and, if it is there or can be made from a zeroed frame, calls `enter` with the
  /// run that holds it, under the object's lock, so that it cannot go meanwhile. Takes the object's
  /// lock.
  ///
  /// - Parameter bounds: the pages of the map entry; the run is cut to them.
  func fault(
    _ index: PageIndex, in bounds: PageRange, enter: (WiredRun) throws(VMError) -> Void
  ) throws(VMError) -> FaultStep {
    lock.lock()
    defer { lock.unlock() }
    if let (range, state) = pages.run(at: index, in: bounds) {
      if state.isBusy { return .busy(pagesChanged.ticket()) }
      try enter(
        WiredRun(
          index: range.start, frames: FrameRun(state.frame, range.count), isFresh: false))
      return .done
    }
    guard let (frame, isZeroed) = frameLocked(for: index) else {
      return .failed(VMError(.resourceShortage, "no free frame is left"))
    }
    pages.insert(.one, at: index, PageState(frame: frame, isValid: isZeroed, isBusy: !isZeroed))
    guard isZeroed else { return .zero(frame) }
    do {
      try enter(WiredRun(index: index, frames: FrameRun(frame, .one), isFresh: false))
    } catch {
      // Not known to be zero any more: the guest may have reached it for a moment.
      removeLocked(PageRange(start: index, count: .one), zeroed: false)
      throw error
    }
    return .done
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

  /// A frame for one page: beside its neighbour's if that is free, so that pages that come one by
  /// one still lie in place.
  private func frameLocked(for index: PageIndex) -> (frame: Frame, isZeroed: Bool)? {
    var beside: FrameAllocator.Allocation?
    if index > .zero, let neighbour = pages[PageIndex(index.rawValue - 1)] {
      beside = memory.allocator.allocate(neighbour.frame + .one)
    }
    var dirty: [FrameRun] = []
    guard let block = beside ?? memory.allocator.allocate(order: 0, dirty: &dirty) else {
      return nil
    }
    return (block.run.start, block.isZeroed)
  }
}
