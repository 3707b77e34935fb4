/// The answer to the question "what is at this page of a shadow chain?", and what the thread that
/// asked now holds of the page.
///
/// Every operation asks in the same way and goes on in the same way: `withChain` looks a page up
/// under the chain's locks; a fault (`claimForFault`) or a wire (`claimForWire`) makes there, under
/// the same locks, what it needs of a page that is absent or has to be copied; and `advance` does
/// the rest of the work of a claim, without locks. An operation then either has the page
/// (`resident`, and for a wire `fresh` and `copy`) or claims it again. A wire by runs looks up in
/// the same way, keeps what it claims in a `WireBatch`, and passes only what ends a batch on.
///
/// Invariants:
/// - A claim is valid under the locks that it was made under. After that only `fresh` and `copy`
///   are: the pages that they name are busy, so no other thread changes, copies, wires, moves or
///   frees them. All others have to be claimed again, unless the caller's map lock, transition or
///   wiring keeps the page.
/// - The thread that gets `fresh` or `copy` passes it to `advance` exactly once, and does so before
///   it waits for anything; a batch is filled, and its copies ended (`endCopies`), likewise.
///   `advance` ends the busy state of the pages of a fault, in success and failure, and of the
///   source of a copy. The new pages of a wire remain busy and invalid until `WireTarget.finish`
///   or `WireTarget.undo`.
/// - `fresh` and `copy` name pages of the object that was asked, the top of the chain. Only that
///   object gets them; only a pager's object gets pages from its pager.
/// - `busy` and `paged` may wait in `advance`. A thread that has busy pages of its own finishes
///   these first (`busy`), so two operations cannot wait for each other. A pager waits for no busy
///   page, so `paged` needs nothing.
/// - Whether a page is busy is asked before anything else is done with it. Only look-ups that
///   change no more than wire counts, or nothing, see busy pages as `resident` (`seesBusy`).
enum PageClaim {
  /// The page is resident, here or below; an operation that adds something to the page, such as a
  /// translation or a wiring, has done so.
  case resident(ResidentPage)
  /// The page is absent, reads as zero, and nothing was made in its place. So are the pages of the
  /// range around it, and perhaps more. A fault never returns this; a wire does where it was
  /// offered no frame.
  case absent(PageRange)
  /// These new pages are busy and invalid; `dirty` are the frames among theirs that have to be
  /// zeroed.
  case fresh(PageRange, dirty: [FrameRun])
  /// These new pages are busy and invalid and have to become copies of pages below, which are busy
  /// too.
  case copy(PageCopy)
  /// The page is absent, and the pager of this object has it and those behind it at this index;
  /// with `isLarge` the whole large page around it is wanted, none of which is resident.
  case paged(MemoryObject, PageIndex, count: PageCount, isLarge: Bool)
  /// Another thread works on the page, which is this object's.
  case busy(MemoryObject, Event.Ticket)
  /// No frame or translation is available, or the page is wired too many times.
  case failed(HoldfastError)
}

/// A resident page of a chain.
struct ResidentPage {
  /// The object that has the page: the top one, or one below.
  let holder: MemoryObject
  /// The page's index in `holder`.
  let index: PageIndex
  /// The page's own state.
  let state: PageState
  /// Pages around it that lie in the same run and have nothing above them, in the top object's
  /// indexes.
  var range: PageRange
  /// Whether the operation made the page just now, of zeros.
  var isNew = false
}

/// A copy of pages below, in the making. The frames of both sides are contiguous.
struct PageCopy {
  /// The new pages, in the top object's indexes.
  let range: PageRange
  /// Where the source is: the object, its first page there, and the first frame.
  let below: MemoryObject
  let index: PageIndex
  let source: Frame
  /// The first frame of the new pages.
  let frame: Frame
}

extension MemoryObject {
  /// Locks this object and those below it as far as the topmost resident page at `index`, finds
  /// that page, and calls `body` with all of them locked, so that none of it can change meanwhile.
  /// The claim is `resident`, `absent`, `paged` or `busy`.
  ///
  /// - Parameters:
  ///   - bounds: what the range of a claim is cut to, in this object's indexes.
  ///   - seesBusy: whether a busy page is `resident` like any other, for look-ups that do not use
  ///     the contents.
  /// - Complexity: O(objects of the chain).
  func withChain<Result>(
    _ index: PageIndex, in bounds: PageRange, seesBusy: Bool = false,
    _ body: (PageClaim) throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    try descend(index, depth: .zero, bounds, seesBusy, body)
  }

  /// Looks for a page from this object of a chain on down.
  ///
  /// - Parameters:
  ///   - index: the page, in this object's indexes.
  ///   - depth: how far these are ahead of the top object's.
  ///   - range: pages around that are absent in all the objects above, in the top object's indexes.
  private func descend<Result>(
    _ index: PageIndex, depth: PageCount, _ range: PageRange, _ seesBusy: Bool,
    _ body: (PageClaim) throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    lock.lock()
    defer { lock.unlock() }
    let end = PageIndex(min((range.end + depth).rawValue, size.rawValue))
    let around = PageRange(from: range.start + depth, to: end)
    func inTop(_ range: PageRange) -> PageRange {
      PageRange(
        from: PageIndex(range.start.rawValue - depth.rawValue),
        to: PageIndex(range.end.rawValue - depth.rawValue))
    }
    if let (run, state) = pages.run(at: index, in: around) {
      if state.isBusy, !seesBusy { return try body(.busy(self, pagesChanged.ticket())) }
      let own = state.advanced(by: index - run.start)
      return try body(
        .resident(ResidentPage(holder: self, index: index, state: own, range: inTop(run))))
    }
    // A fault on a plain object does not pay for a look around.
    let isPlainTop = depth == .zero && backing == nil && pager == nil
    if isPlainTop { return try body(.absent(PageRange(start: index, count: .one))) }
    let gap = pages.gap(at: index, in: around)
    if let pager {
      let count = pager.boundedPages(at: index, limit: gap.end - index)
      if count > .zero { return try body(.paged(self, index, count: count, isLarge: false)) }
      return try body(.absent(inTop(pager.boundedHole(around: index, in: gap))))
    }
    guard let backing, (index + backing.offset).rawValue < backing.object.size.rawValue else {
      return try body(.absent(inTop(gap)))
    }
    return try backing.object.descend(
      index + backing.offset, depth: depth + backing.offset, inTop(gap), seesBusy, body)
  }

  /// Does the work of a claim on a page of this object's chain that needs no locks held: waits,
  /// zeroes, copies, or pages in. The caller claims the page again afterwards, except where a
  /// wire's `fresh` or `copy` pages are its own now.
  ///
  /// Called without locks, or, for `busy` pages of wired memory only, with the map locked.
  ///
  /// - Parameter entry: the map entry whose wiring the new pages are made for: they stay busy and
  ///   invalid, for no thread may use them until the whole wire is entered. Nil for a fault, whose
  ///   pages become valid at once.
  /// - Throws: the error of a claim that failed; pagerFailure; resourceShortage where there is no
  ///   frame for a pager's page, or where the translations of a copied page cannot be split. The
  ///   pages of a fault's `copy` are gone then; those of a wire's `copy` remain the caller's.
  func advance(
    _ claim: PageClaim, wiring entry: ObjectIdentifier? = nil
  ) throws(HoldfastError) {
    switch claim {
    case .resident, .absent: break
    case .busy(let object, let ticket): object.pagesChanged.wait(since: ticket)
    case .fresh(let range, let dirty):
      if !dirty.isEmpty { memory.store.zero(dirty) }
      if entry == nil { finishFault(range) }
    case .copy(let copy):
      memory.store.copy(from: FrameRun(copy.source, copy.range.count), to: copy.frame)
      // Until then the source does not move, and what shows it is not left behind.
      defer { copy.below.endCopy(copy.index, count: copy.range.count) }
      try removeTranslationsAbove(copy.range, isFault: entry == nil)
      if let entry {
        hideBelow(copy.range, except: entry)
      } else {
        finishCopy(copy)
      }
    case .paged(let object, let index, let count, let isLarge):
      try object.pageIn(index, limit: count, isLarge: isLarge)
    case .failed(let error): throw error
    }
  }
}
