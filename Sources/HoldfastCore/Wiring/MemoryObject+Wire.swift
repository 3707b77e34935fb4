/// A batch of pages that a wire has claimed, to be zeroed or copied and then entered.
struct WireBatch {
  var runs: [PageRun] = []
  /// The frames of fresh runs that have to be zeroed.
  var dirty: [FrameRun] = []
  /// Those of the fresh runs that have to become copies of pages below, which are busy until
  /// `endCopies`.
  var copies: [PageCopy] = []
  /// The pages of the copies.
  var copied = PageCount.zero
  /// What is at the next page and ended the batch, for example `busy` or `failed`. Nil where the
  /// range or the batch is complete.
  var obstacle: PageClaim?
  /// Fresh pages in smaller blocks than their alignment allows.
  var fragmented = PageCount.zero
  /// The index after the last page of the batch.
  var next: PageIndex

  /// Ends the busy state of the pages that were copied from. Takes their objects' locks.
  func endCopies() {
    for copy in copies { copy.below.endCopy(copy.index, count: copy.range.count) }
  }
}

extension MemoryObject {
  /// How many runs a batch has at most, and superpages of the largest size, so that the object is
  /// not locked for a whole large range.
  static let batchRuns = 1024

  /// The first step of the prefault path (the FreeBSD review's routine, made sound): claims the
  /// pages from the start of a range on. Absent ones are inserted in the largest free blocks, busy
  /// and invalid, so that no other thread can use them and collapse must wait. Resident ones are
  /// wired in place and keep their contents. Takes the object's lock.
  ///
  /// This claims runs and not pages, because the cost of a wire must grow with superpages. What
  /// ends a batch is a claim like any other.
  ///
  /// An operation claims pages in ascending order, and never waits while it has busy pages: so two
  /// operations cannot wait for each other.
  ///
  /// - Returns: nil where the object has a backing object or a pager (`claimBatchOfChain`).
  func claimBatch(_ range: PageRange) -> WireBatch? {
    lock.lock()
    defer { lock.unlock() }
    guard backing == nil, pager == nil else { return nil }
    let most = PageCount(UInt64(MemoryObject.batchRuns) << UInt64(memory.geometry.maximumOrder))
    let range = PageRange(from: range.start, to: min(range.end, range.start + most))
    var batch = WireBatch(next: range.start)
    // The usual case, which is one gap.
    if pages.residentCount == .zero {
      _ = fillLocked(range, &batch)
      return batch
    }
    var pieces: [(range: PageRange, state: PageState?)] = []
    pages.forEach(in: range) { part, state in
      pieces.append((part, state))
      return pieces.count < MemoryObject.batchRuns
    }
    for (part, state) in pieces {
      guard batch.runs.count < MemoryObject.batchRuns else { break }
      if let state {
        if state.isBusy {
          batch.obstacle = .busy(self, pagesChanged.ticket())
          break
        }
        batch.obstacle = wireLocked(part, state, &batch)
        if batch.obstacle != nil { break }
      } else {
        guard fillLocked(part, &batch) else { break }
      }
      batch.next = part.end
    }
    return batch
  }

  /// Wires resident pages of this object.
  ///
  /// - Returns: why that cannot be done, if it cannot.
  func wireLocked(
    _ part: PageRange, _ state: PageState, _ batch: inout WireBatch
  ) -> PageClaim? {
    guard state.wireCount < .max else { return .tooManyWirings }
    pages.update(in: part) { $0.wireCount += 1 }
    batch.runs.append(
      PageRun(index: part.start, frames: FrameRun(state.frame, part.count), isFresh: false))
    batch.next = part.end
    return nil
  }

  /// Fills a gap with the largest free blocks that its alignment allows.
  private func fillLocked(_ gap: PageRange, _ batch: inout WireBatch) -> Bool {
    var index = gap.start
    while index < gap.end, batch.runs.count < MemoryObject.batchRuns {
      let limit = gap.end - index
      let order = memory.geometry.largestOrder(at: index, limit: limit)
      let reserved = reservedFrames(for: index, limit: limit, dirty: &batch.dirty)
      guard let run = reserved ?? anyFrames(order: order, limit: limit, dirty: &batch.dirty) else {
        batch.obstacle = .failed(memory.shortage)
        batch.next = index
        return false
      }
      pages.insert(
        run.count, at: index, PageState(frame: run.start, isValid: false, isBusy: true))
      batch.runs.append(PageRun(index: index, frames: run, isFresh: true))
      if reserved == nil, run.count < .order(order) { batch.fragmented += run.count }
      index = index + run.count
      batch.next = index
    }
    return index == gap.end
  }

  /// How many pages are absent from `index` on, before the first resident one or `end`. Takes the
  /// object's lock.
  func missingPages(from index: PageIndex, to end: PageIndex) -> PageCount {
    var last = end
    lock.withLock {
      pages.forEach(in: PageRange(from: index, to: end)) { part, state in
        if state != nil { last = part.start }
        return state == nil
      }
    }
    return last - index
  }

  /// The claim of one page by the wire's fault path: wires the page if it is resident, and makes it
  /// in `frame` if it is absent or has to be copied. Takes the locks of the chain.
  ///
  /// - Parameters:
  ///   - end: how far a pager may be asked for pages along with this one.
  ///   - frame: a frame that is zero and the caller's, or nil.
  /// - Returns: `absent` where a frame is needed and none was offered.
  func claimForWire(
    _ index: PageIndex, upTo end: PageIndex, offering frame: Frame?
  ) -> PageClaim {
    let one = PageRange(start: index, count: .one)
    do throws(HoldfastError) {
      return try withChain(index, in: PageRange(from: index, to: end)) {
        (claim) throws(HoldfastError) in
        switch claim {
        case .resident(let page):
          if page.holder === self {
            guard page.state.wireCount < .max else { return .tooManyWirings }
            pages.update(in: one) { $0.wireCount += 1 }
            return claim
          }
          guard let frame else { return .absent(one) }
          try prepareCopyLocked(one)
          return beginCopyLocked(one, of: page, at: index, to: frame)
        case .absent:
          guard let frame else { return .absent(one) }
          pages.insert(.one, at: index, PageState(frame: frame, isValid: false, isBusy: true))
          return .fresh(one, dirty: [])
        default: return claim
        }
      }
    } catch {
      return .failed(error)
    }
  }

  /// Makes fresh pages, which are zeroed and entered, valid and wired, and ends their busy state.
  /// Translations that other mappings have of pages below are removed. Takes the object's lock,
  /// for a superpage of the largest size at a time.
  ///
  /// - Parameter entry: the map entry that was wired.
  func finishWire(fresh ranges: [PageRange], by entry: ObjectIdentifier) {
    if ranges.isEmpty { return }
    forEachSlice(of: ranges) { range in
      if backing != nil { removeTranslationsLocked(of: range, except: entry) }
      pages.update(in: range) { state in
        precondition(state.isBusy && !state.isValid, "another thread changed a fresh page")
        state.isValid = true
        state.isBusy = false
        state.wireCount = 1
      }
    }
    pagesChanged.announce()
  }

  /// Removes fresh pages, which have no translations, without a trace. Takes the object's lock, for
  /// a superpage of the largest size at a time.
  func abandon(fresh ranges: [PageRange], zeroed: Bool) {
    if ranges.isEmpty { return }
    forEachSlice(of: ranges) { removeLocked($0, zeroed: zeroed) }
    pagesChanged.announce()
  }

  /// Calls `body`, with the object locked, for each part of the ranges that lies in one superpage
  /// of the largest size, so that no other thread waits for the whole of a large range.
  private func forEachSlice(of ranges: [PageRange], _ body: (PageRange) -> Void) {
    for range in ranges {
      var index = range.start
      while index < range.end {
        let superpage = PageRange(around: index, order: memory.geometry.maximumOrder)
        let end = min(superpage.end, range.end)
        lock.withLock { body(PageRange(from: index, to: end)) }
        index = end
      }
    }
  }

  /// Returns one wiring of each page of the range (FreeBSD: `vm_object_unwire`). All of them are
  /// resident in this object, for a wired page is never below the object that is mapped. Takes the
  /// object's lock.
  ///
  /// - Complexity: O(runs).
  func unwire(_ range: PageRange) {
    lock.withLock {
      pages.update(in: range) { state in
        precondition(state.wireCount > 0, "a page is unwired too often")
        state.wireCount -= 1
      }
    }
  }
}

extension PageClaim {
  /// A claim that failed because a page's wire count is at its maximum.
  static var tooManyWirings: PageClaim {
    .failed(HoldfastError(.resourceShortage, "a page is wired 65,535 times already"))
  }
}
