/// The fault path, which tests and benchmarks compare the prefault path with. The entry is in
/// transition, so that it does not change meanwhile, and the address space is unlocked.
extension AddressSpace {
  /// The fault path: each page by itself, as if the guest had touched it, in frames that are
  /// allocated a superpage at a time, so that they can become superpages.
  ///
  /// - Complexity: O(pages).
  func populateByFault(
    _ target: inout WireTarget, _ summary: inout WireSummary, finishOthers: () -> Void
  ) throws(HoldfastError) {
    let start = Instant.now
    var ahead = FramesAhead()
    defer { summary.entering += Instant.now - start }
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
          let reach =
            isPlain ? target.addresses(of: PageRange(from: index, to: ahead.range.end)) : nil
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
      throw memory.shortage.at(target.address(of: index))
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
