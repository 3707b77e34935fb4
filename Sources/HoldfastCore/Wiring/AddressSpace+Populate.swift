/// The two paths that make the pages of an entry resident, wired and entered. The entry is in
/// transition, so that it does not change meanwhile, and the address space is unlocked.
///
/// `finishOthers` finishes the busy pages of entries that the operation populated before.
extension AddressSpace {
  /// The prefault path: batches of the largest blocks that alignment and free memory allow. The
  /// object has neither a backing object nor a pager.
  ///
  /// - Complexity: O(superpages and runs).
  func populateByPrefault(
    _ target: inout WireTarget, _ summary: inout WireSummary, finishOthers: () -> Void
  ) throws(HoldfastError) {
    let clock = ContinuousClock()
    var index = target.pages.start
    while index < target.pages.end {
      let start = clock.now
      let batch = target.object.claimBatch(PageRange(index, target.pages.end))
      let allocated = clock.now
      summary.allocating += allocated - start
      if case .failed(let error)? = batch.obstacle {
        abandon(batch, &target)
        throw error.at(target.address(of: batch.next))
      }
      if !batch.dirty.isEmpty { memory.store.zero(batch.dirty) }
      let zeroed = clock.now
      summary.zeroing += zeroed - allocated
      for run in batch.runs { target.add(run.range, isFresh: run.isFresh) }
      try enter(batch.runs, &target)
      summary.entering += clock.now - zeroed
      count(batch, &summary)
      index = batch.next
      if let obstacle = batch.obstacle { try wait(for: obstacle, &target, finishOthers) }
    }
  }

  /// Enters runs; those that are adjacent both in the object and in memory are entered as one.
  private func enter(_ runs: [PageRun], _ target: inout WireTarget) throws(HoldfastError) {
    var first = 0
    while first < runs.count {
      var joined = FrameRun(runs[first].frames.start, runs[first].frames.count)
      var next = first + 1
      while next < runs.count, runs[next].frames.start == joined.end,
        runs[next].index == runs[first].index + joined.count
      {
        joined = FrameRun(joined.start, joined.count + runs[next].frames.count)
        next += 1
      }
      do throws(HoldfastError) {
        try enter(joined, at: runs[first].index, reach: nil, target)
      } catch {
        // Undoing the wire unwires the translations of all claimed pages; these have none yet.
        if next < runs.count, let last = runs.last {
          pmap.remove(target.addresses(of: PageRange(runs[next].index, last.range.end)))
        }
        throw error
      }
      first = next
    }
  }

  private func enter(
    _ frames: FrameRun, at index: PageIndex, reach: AddressRange?, _ target: WireTarget
  ) throws(HoldfastError) {
    let address = target.address(of: index)
    do throws(HoldfastError) {
      try pmap.enter(
        frames, at: address, protection: target.protection, wired: true, reach: reach)
    } catch {
      // How much was entered is not known: no translation may stay, even for pages that do.
      pmap.remove(target.addresses(of: PageRange(start: index, count: frames.count)))
      throw error.at(address)
    }
  }

  /// Does the work of a claim that may wait for other threads. The operation's own busy pages are
  /// finished first: otherwise two operations could wait for each other, or one for itself where it
  /// maps a page twice. The page is claimed again afterwards.
  private func wait(
    for claim: PageClaim, _ target: inout WireTarget, _ finishOthers: () -> Void
  ) throws(HoldfastError) {
    target.finish()
    finishOthers()
    // Returns at once where the page was among what was finished since the ticket was taken.
    try target.object.advance(claim)
  }

  /// Undoes a batch that was not entered.
  private func abandon(_ batch: WireBatch, _ target: inout WireTarget) {
    target.object.abandon(
      fresh: batch.runs.filter(\.isFresh).map(\.range), zeroed: batch.dirty.isEmpty)
    for run in batch.runs where !run.isFresh { target.object.unwire(run.range) }
  }

  private func count(_ batch: WireBatch, _ summary: inout WireSummary) {
    var fresh = PageCount.zero
    for run in batch.runs {
      if run.isFresh {
        fresh += run.frames.count
      } else {
        summary.residentBefore += run.frames.count
      }
    }
    let dirty = batch.dirty.reduce(PageCount.zero) { $0 + $1.count }
    summary.zeroedNow += dirty
    summary.zeroedAhead += fresh - dirty
    summary.fragmented += batch.fragmented
  }

  /// The fault path: each page by itself, as if the guest had touched it, in frames that are
  /// allocated a superpage at a time, so that they can become superpages.
  ///
  /// - Complexity: O(pages).
  func populateByFault(
    _ target: inout WireTarget, _ summary: inout WireSummary, finishOthers: () -> Void
  ) throws(HoldfastError) {
    let clock = ContinuousClock()
    let start = clock.now
    var ahead = FramesAhead()
    defer { summary.entering += clock.now - start }
    var index = target.pages.start
    // Where there may be translations of pages below, a pmap must not map pages ahead.
    let isPlain = target.object.isPlain
    while index < target.pages.end {
      let claim = target.object.claimForWire(
        index, upTo: target.pages.end,
        offering: ahead.range.contains(index) ? ahead.frame(for: index) : nil)
      do throws(HoldfastError) {
        switch claim {
        case .resident(let page):
          target.add(PageRange(start: index, count: .one), isFresh: false)
          ahead.pass(index)
          summary.residentBefore += .one
          try enter(FrameRun(page.state.frame, .one), at: index, reach: nil, target)
        case .fresh(let page, _):
          target.add(page, isFresh: true)
          try target.object.advance(claim, wiring: target.entry)
          count(index, ahead, &summary)
          ahead.use(index, isReached: isPlain)
          let reach = isPlain ? target.addresses(of: PageRange(index, ahead.range.end)) : nil
          try enter(FrameRun(ahead.frame(for: index), .one), at: index, reach: reach, target)
        case .copy(let copy):
          target.add(copy.range, isFresh: true)
          try target.object.advance(claim, wiring: target.entry)
          summary.copied += .one
          ahead.use(index, isReached: false)
          try enter(FrameRun(copy.frame, .one), at: index, reach: nil, target)
        case .absent:
          try take(&ahead, at: index, target)
          continue
        case .busy:
          try wait(for: claim, &target, finishOthers)
          continue
        case .paged, .failed:
          // The pager's page must not lack frames because this operation has some ahead.
          giveBack(&ahead, target)
          try target.object.advance(claim)
          continue
        }
      } catch {
        giveBack(&ahead, target)
        throw error.at(target.address(of: index))
      }
      index = index + .one
    }
    giveBack(&ahead, target)
  }

  private func count(_ index: PageIndex, _ ahead: FramesAhead, _ summary: inout WireSummary) {
    if ahead.wasDirty(index) { summary.zeroedNow += .one } else { summary.zeroedAhead += .one }
    summary.faulted += .one
  }

  /// Allocates and zeroes frames for the pages from `index` on, up to a superpage of the first
  /// level.
  private func take(
    _ ahead: inout FramesAhead, at index: PageIndex, _ target: WireTarget
  ) throws(HoldfastError) {
    giveBack(&ahead, target)
    // Only up to the next resident page, whose translation must stay.
    let missing = target.object.missingPages(from: index, to: target.pages.end)
    guard missing > .zero else { return }
    let order = min(Geometry.levelShift, geometry.largestOrder(at: index, limit: missing))
    var dirty: [FrameRun] = []
    let limit = min(missing, Reservation.pages)
    let object = target.object
    guard
      let run = object.lock.withLock({
        object.reservedFrames(for: index, limit: limit, dirty: &dirty)
          ?? object.anyFrames(order: order, dirty: &dirty)
      })
    else {
      throw HoldfastError(.resourceShortage, at: target.address(of: index), "no free frame is left")
    }
    if !dirty.isEmpty { memory.store.zero(dirty) }
    ahead = FramesAhead(PageRange(start: index, count: run.count), run, dirty)
  }

  /// Frees the frames that were allocated ahead and not used. Where a page was passed over, its own
  /// translation has replaced what the reach may have mapped; the rest of the reach is removed.
  private func giveBack(_ ahead: inout FramesAhead, _ target: WireTarget) {
    if ahead.isReached, !ahead.left.isEmpty { pmap.remove(target.addresses(of: ahead.left)) }
    if ahead.isReached { pmap.endReach(target.addresses(of: ahead.range)) }
    for pages in ahead.passedOver + [ahead.left] where !pages.isEmpty {
      memory.free(ahead.run(for: pages), zeroed: !ahead.isReached)
    }
    ahead = FramesAhead()
  }
}
