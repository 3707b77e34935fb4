/// Wiring by runs behind a shadow chain or a pager.
extension MemoryObject {
  /// How much a batch copies at most: a thread that needs a page that is copied waits for all of
  /// the batch.
  private var batchCopies: PageCount {
    max(.one, memory.geometry.pages(in: .mebibytes(64)))
  }

  /// The first step of the prefault path where there are pages below or a pager: claims pages as
  /// `claimBatch` does, run by run, but takes the locks of the chain for each run anew.
  ///
  /// New pages get the frames of one block up to the next page that is resident here, also where
  /// some of them are copies and others zero, so that they become superpages.
  ///
  /// - Parameters:
  ///   - ahead: the block whose frames are used next; the caller gives back what is left at the
  ///     end, and before it waits.
  /// - Returns: as `claimBatch`; the obstacle may also be `paged`.
  /// - Complexity: O(runs · (objects of the chain + log mappings)).
  func claimBatchOfChain(
    _ range: PageRange, _ ahead: inout BlockAhead
  ) -> WireBatch {
    var batch = WireBatch(next: range.start)
    while batch.next < range.end, batch.obstacle == nil,
      batch.runs.count < MemoryObject.batchRuns, batch.copied < batchCopies
    {
      let rest = PageRange(from: batch.next, to: range.end)
      do throws(HoldfastError) {
        batch.obstacle = try withChain(rest.start, in: rest) { (claim) throws(HoldfastError) in
          switch claim {
          case .resident(let page):
            page.holder === self
              ? wireLocked(page.range, page.state, &batch)
              : try copyRunLocked(page, rest, &ahead, &batch)
          case .absent(let gap): fillRunLocked(gap, rest, &ahead, &batch)
          default: claim
          }
        }
      } catch {
        batch.obstacle = .failed(error)
      }
    }
    return batch
  }

  /// Begins a copy of pages below, as many as there are frames for in one block.
  private func copyRunLocked(
    _ page: ResidentPage, _ rest: PageRange, _ ahead: inout BlockAhead, _ batch: inout WireBatch
  ) throws(HoldfastError) -> PageClaim? {
    guard allocateLocked(&ahead, rest) else { return .failed(memory.shortage) }
    let count = min(page.range.count, ahead.left.count, batchCopies - batch.copied)
    let range = PageRange(start: rest.start, count: count)
    try prepareCopyLocked(range)
    let frame = ahead.left.start
    if case .copy(let copy) = beginCopyLocked(range, of: page, at: rest.start, to: frame) {
      batch.copies.append(copy)
    }
    // Whether its frames are zero does not matter.
    _ = use(&ahead, count, &batch)
    batch.copied += count
    return nil
  }

  /// Makes absent pages, as many as there are frames for in one block.
  private func fillRunLocked(
    _ gap: PageRange, _ rest: PageRange, _ ahead: inout BlockAhead, _ batch: inout WireBatch
  ) -> PageClaim? {
    var end = absentLocked(at: rest.start, gap, in: rest).end
    if pager != nil {
      // A large page of which the pager has a part is read as a whole.
      let last = PageRange(
        around: PageIndex(end.rawValue - 1), order: memory.geometry.largePageOrder)
      if last.end > end, rest.contains(last), isAbsentPagedLocked(last) {
        if last.start == rest.start {
          return .paged(self, rest.start, count: gap.end - rest.start, isLarge: true)
        }
        end = last.start
      }
    }
    guard allocateLocked(&ahead, rest) else { return .failed(memory.shortage) }
    let count = min(end - rest.start, ahead.left.count)
    pages.insert(
      count, at: rest.start, PageState(frame: ahead.left.start, isValid: false, isBusy: true))
    batch.dirty += use(&ahead, count, &batch)
    return nil
  }

  /// Adds a run of new pages to the batch, in the first frames that are left.
  ///
  /// - Returns: those of the frames that are not known to be zero.
  private func use(
    _ ahead: inout BlockAhead, _ count: PageCount, _ batch: inout WireBatch
  ) -> [FrameRun] {
    batch.runs.append(
      PageRun(index: batch.next, frames: FrameRun(ahead.left.start, count), isFresh: true))
    if ahead.isFragment { batch.fragmented += count }
    batch.next = batch.next + count
    return ahead.take(count)
  }

  /// Makes sure that `ahead` has frames for the first page of a range, which is absent here: the
  /// largest block for the pages up to the next one that is resident here.
  private func allocateLocked(_ ahead: inout BlockAhead, _ rest: PageRange) -> Bool {
    let index = rest.start
    if ahead.pages.start == index, !ahead.pages.isEmpty { return true }
    giveBack(&ahead)
    let limit = pages.gap(at: index, in: rest).end - index
    let order = memory.geometry.largestOrder(at: index, limit: limit)
    var dirty: [FrameRun] = []
    let reserved = reservedFrames(for: index, limit: limit, dirty: &dirty)
    guard let run = reserved ?? anyFrames(order: order, dirty: &dirty) else { return false }
    ahead = BlockAhead(
      run, for: index, dirty: dirty, isFragment: reserved == nil && run.count < .order(order))
    return true
  }

  /// Frees the frames that were not used.
  func giveBack(_ ahead: inout BlockAhead) {
    if !ahead.pages.isEmpty { memory.free(ahead.left, zeroed: ahead.isZeroed) }
    ahead = BlockAhead()
  }
}
