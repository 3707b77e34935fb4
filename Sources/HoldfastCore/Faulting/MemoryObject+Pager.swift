/// Paging in.
extension MemoryObject {
  /// The most pages that are read at once where no large page is wanted.
  private var cluster: PageCount { .order(min(4, memory.geometry.largePageOrder)) }

  /// Makes pages from `index` on resident with what the pager has, as many as are absent and as
  /// there are contiguous frames for; pages that the pager does not have become zero. The pages are
  /// busy meanwhile. Does nothing if the page is resident or the object dead. Called without locks;
  /// waits for no busy page.
  ///
  /// - Parameters:
  ///   - limit: the most pages, all of which the pager has.
  ///   - isLarge: whether to make the whole large page around `index`, where all of it is absent
  ///     and a block is free.
  /// - Returns: the pages that were made, or nil.
  @discardableResult
  func pageIn(
    _ index: PageIndex, limit: PageCount, isLarge: Bool = false
  ) throws(HoldfastError) -> PageRange? {
    var dirty: [FrameRun] = []
    var source: (any Pager)?
    let found = lock.withLock { () -> (PageRange, Frame)?? in
      // The object may have died since it was looked up: nothing would free its pages then. Its
      // pager may have moved, or another thread was faster: the caller claims the page again.
      guard references > 0, let pager, pages[index] == nil else { return .some(nil) }
      source = pager
      guard let (range, frame) = framesToPageLocked(index, limit, isLarge, &dirty) else {
        return nil
      }
      pages.insert(
        range.count, at: range.start, PageState(frame: frame, isValid: false, isBusy: true))
      return .some((range, frame))
    }
    guard let found else { throw memory.shortage }
    guard let (range, frame) = found, let pager = source else { return nil }
    do throws(HoldfastError) {
      try fill(range, frame, from: pager, dirty)
    } catch {
      abandon(fresh: [range], zeroed: false)
      throw error
    }
    finishFault(range)
    return range
  }

  /// Allocates frames for paging in, and says for which pages.
  private func framesToPageLocked(
    _ index: PageIndex, _ limit: PageCount, _ isLarge: Bool, _ dirty: inout [FrameRun]
  ) -> (PageRange, Frame)? {
    let order = memory.geometry.largePageOrder
    let region = PageRange(around: index, order: order)
    if isLarge, order > 0, memory.geometry.superpageLevels > 0, mapped.contains(region),
      pages.isAbsent(around: index, order: order), placement == nil,
      let block = memory.allocator.allocateNow(order: order, dirty: &dirty)
    {
      return (region, block.run.start)
    }
    let end = PageIndex(min(size.rawValue, (index + min(limit, cluster)).rawValue))
    let missing = pages.gap(at: index, in: PageRange(from: .zero, to: end)).end - index
    return framesLocked(for: index, limit: missing, dirty: &dirty).map {
      (PageRange(start: index, count: $0.count), $0.start)
    }
  }

  /// Fills new pages with what the pager has, and with zeros where it has nothing.
  private func fill(
    _ range: PageRange, _ frame: Frame, from pager: any Pager, _ dirty: [FrameRun]
  ) throws(HoldfastError) {
    var index = range.start
    while index < range.end {
      let left = range.end - index
      let first = frame + (index - range.start)
      let count = pager.boundedPages(at: index, limit: left)
      if count > .zero {
        let part = PageRange(start: index, count: count)
        try pager.read(part, into: FrameRun(first, count), memory.store)
        index = part.end
        continue
      }
      let rest = PageRange(from: index, to: range.end)
      let hole = PageRange(from: index, to: pager.boundedHole(around: index, in: rest).end)
      let frames = FrameRun(first, hole.count)
      memory.store.zero(
        dirty.compactMap { run in
          let start = max(run.start, frames.start)
          let end = min(run.end, frames.end)
          return start < end ? FrameRun(start, end - start) : nil
        })
      index = hole.end
    }
  }

  /// Pages in, ahead of faults, what the pager has of a range and is absent. Pages that the pager
  /// does not have stay absent, except within a large page. Ends early where the object dies or its
  /// pager moves below another object meanwhile.
  ///
  /// - Parameters:
  ///   - isLarge: whether to make large pages where possible, of which the range may have a part.
  ///   - made: called with pages that the call has made resident.
  /// - Throws: `pagerFailure` and `resourceShortage`; pages that are resident by then stay so.
  package func pageInAll(
    _ range: PageRange, isLarge: Bool = true, made: (PageRange) -> Void = { _ in }
  ) throws(HoldfastError) {
    guard let pager = lock.withLock({ pager }) else { return }
    var index = range.start
    while index < range.end {
      if pager.boundedPages(at: index, limit: .one) == .zero {
        index = pager.boundedHole(around: index, in: PageRange(from: index, to: range.end)).end
        continue
      }
      let resident = lock.withLock { () -> PageIndex? in
        if references == 0 || self.pager !== pager { return range.end }
        return pages.run(at: index, in: range)?.0.end
      }
      if let resident {
        index = resident
        continue
      }
      let limit = pager.boundedPages(at: index, limit: range.end - index)
      if let found = try pageIn(index, limit: limit, isLarge: isLarge) { made(found) }
    }
  }
}
