/// The prefault path, which makes the pages of an entry resident, wired and entered. The entry is in
/// transition, so that it does not change meanwhile, and the address space is unlocked.
///
/// `finishOthers` finishes the busy pages of entries that the operation populated before.
extension AddressSpace {
  /// The prefault path: batches of the largest blocks that alignment and free memory allow, and of
  /// copies of pages below.
  ///
  /// - Complexity: O(superpages and runs).
  func populateByPrefault(
    _ target: inout WireTarget, _ summary: inout WireSummary, finishOthers: () -> Void
  ) throws(HoldfastError) {
    var ahead = BlockAhead()
    defer { target.object.giveBack(&ahead) }
    var index = target.pages.start
    while index < target.pages.end {
      let start = Instant.now
      let rest = PageRange(from: index, to: target.pages.end)
      let batch =
        target.object.claimBatch(rest)
        ?? target.object.claimBatchOfChain(rest, &ahead)
      summary.allocating += Instant.now - start
      try populate(batch, &target, &summary)
      index = batch.next
      if let obstacle = batch.obstacle {
        try advance(obstacle, at: index, &target, &ahead, finishOthers)
      }
    }
  }

  /// Fills and enters what a batch has claimed, or undoes the batch where it ended with a failure.
  private func populate(
    _ batch: WireBatch, _ target: inout WireTarget, _ summary: inout WireSummary
  ) throws(HoldfastError) {
    // Not before the copies are entered: no translation may show a page that has moved.
    defer { batch.endCopies() }
    if case .failed(let error)? = batch.obstacle {
      abandon(batch, &target)
      throw error.at(target.address(of: batch.next))
    }
    let start = Instant.now
    do throws(HoldfastError) {
      try fill(batch, target)
    } catch {
      abandon(batch, &target)
      throw error
    }
    let filled = Instant.now
    summary.zeroing += filled - start
    for run in batch.runs { target.add(run.range, isFresh: run.isFresh) }
    try enter(batch.runs, &target)
    summary.entering += Instant.now - filled
    count(batch, &summary)
  }

  /// Zeroes and copies what a batch has claimed.
  ///
  /// - Throws: resourceShortage, where a translation of a page below cannot be split.
  private func fill(_ batch: WireBatch, _ target: WireTarget) throws(HoldfastError) {
    if !batch.dirty.isEmpty { memory.store.zero(batch.dirty) }
    if batch.copies.isEmpty { return }
    memory.store.copy(
      batch.copies.map { FrameCopy(FrameRun($0.source, $0.range.count), to: $0.frame) })
    for copy in batch.copies {
      do throws(HoldfastError) {
        try target.object.removeTranslationsAbove(copy.range, isFault: false)
      } catch {
        throw error.at(target.address(of: copy.range.start))
      }
      target.object.hideBelow(copy.range, except: target.entry)
    }
  }

  /// Does the work of the claim that ended a batch. The page is claimed again afterwards.
  private func advance(
    _ obstacle: PageClaim, at index: PageIndex, _ target: inout WireTarget,
    _ ahead: inout BlockAhead, _ finishOthers: () -> Void
  ) throws(HoldfastError) {
    guard case .paged(let object, let own, let count, _) = obstacle else {
      target.object.giveBack(&ahead)
      do throws(HoldfastError) {
        return try wait(for: obstacle, &target, finishOthers)
      } catch {
        throw error.at(target.address(of: index))
      }
    }
    do throws(HoldfastError) {
      try pageIn(object, own, count, at: index, target)
    } catch {
      guard error.code == .resourceShortage, !ahead.pages.isEmpty else { throw error }
      // The pager's pages must not lack frames because this operation has some ahead.
      target.object.giveBack(&ahead)
      try pageIn(object, own, count, at: index, target)
    }
  }

  /// Pages in, by large pages, what a pager has from a page on and the mapping shows, some of it at
  /// a time: so the runs that are wired afterwards are long, and no thread waits long for a page.
  ///
  /// - Parameters:
  ///   - own: the page in the indexes of the pager's object.
  ///   - count: how many pages the pager has there, with none above them.
  private func pageIn(
    _ object: MemoryObject, _ own: PageIndex, _ count: PageCount, at index: PageIndex,
    _ target: WireTarget
  ) throws(HoldfastError) {
    let most = max(.one, geometry.pages(in: .mebibytes(32)))
    let range = PageRange(from: index, to: min(target.pages.end, index + most))
    var claim = PageClaim.paged(object, own, count: count, isLarge: false)
    var next = index
    while true {
      switch claim {
      case .resident(let page): next = page.range.end
      case .absent(let gap): next = gap.end
      case .paged(let object, let own, let count, _):
        let region = PageRange(around: own, order: geometry.largePageOrder)
        // Zeros between the pager's pages are wanted only where the mapping has them.
        let isLarge =
          object === target.object
          ? target.pages.contains(region) : region.start == own && region.count <= count
        do throws(HoldfastError) {
          let limit = min(count, range.end - next)
          guard let made = try object.pageIn(own, limit: limit, isLarge: isLarge) else { return }
          next = next + (made.end - own)
        } catch {
          // With fewer frames, what there is may be enough for the pages before this one.
          if error.code == .resourceShortage, next > index { return }
          throw error.at(target.address(of: next))
        }
      default: return
      }
      if next >= range.end { return }
      claim = try target.object.withChain(next, in: PageRange(from: next, to: range.end)) { $0 }
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
          pmap.remove(target.addresses(of: PageRange(from: runs[next].index, to: last.range.end)))
        }
        throw error
      }
      first = next
    }
  }

  func enter(
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
  func wait(
    for claim: PageClaim, _ target: inout WireTarget, _ finishOthers: () -> Void
  ) throws(HoldfastError) {
    target.finish()
    finishOthers()
    // Returns at once where the page was among what was finished since the ticket was taken.
    try target.object.advance(claim)
  }

  /// Undoes a batch that was not entered. Its copies are ended elsewhere.
  private func abandon(_ batch: WireBatch, _ target: inout WireTarget) {
    // Frames for copies may be dirty without being listed.
    let isZeroed = batch.dirty.isEmpty && batch.copies.isEmpty
    target.object.abandon(fresh: batch.runs.filter(\.isFresh).map(\.range), zeroed: isZeroed)
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
    summary.zeroedAhead += fresh - dirty - batch.copied
    summary.copied += batch.copied
    summary.fragmented += batch.fragmented
  }
}
