/// A source of an object's pages that are not resident, such as a file or a snapshot (FreeBSD:
/// `vm_pager`). Calls come from any thread, for different pages at once. `read` is called without
/// locks; the others are called under the locks of a chain, so they must not block.
public protocol Pager: AnyObject, Sendable {
  /// How many pages from `index` on the pager has, at most `limit`; 0 where the page at `index`
  /// reads as zero (FreeBSD: `vm_pager_has_page`). Must not block.
  func pages(at index: PageIndex, limit: PageCount) -> PageCount

  /// A part of `range` around `index` of which the pager has no page, so that a fault can make a
  /// large page of zeros: at least `index`, and as much more as can be determined quickly. Must not
  /// block.
  func hole(around index: PageIndex, in range: PageRange) -> PageRange

  /// Fills frames with the contents of pages that the pager has (FreeBSD: `vm_pager_get_pages`).
  /// May block.
  ///
  /// - Throws: the error for the fault or wire that needs the pages; normally `pagerFailure`.
  func read(_ pages: PageRange, into frames: FrameRun, _ store: any FrameStore)
    throws(HoldfastError)

  /// Tells the pager that a page fault of a guest found a page resident which the pager's object
  /// has, perhaps because the same fault has paged it in. Further faults on the page may follow.
  /// Called under the locks of a chain, so it must not block.
  func noteFault(at index: PageIndex, writes: Bool)
}

extension Pager {
  /// Does nothing.
  public func noteFault(at index: PageIndex, writes: Bool) {}

  /// The page at `index` alone.
  public func hole(around index: PageIndex, in range: PageRange) -> PageRange {
    PageRange(start: index, count: .one)
  }

  /// What `pages(at:limit:)` returns, whatever the implementation says, at most `limit`: more would
  /// be read past the frames.
  func boundedPages(at index: PageIndex, limit: PageCount) -> PageCount {
    min(pages(at: index, limit: limit), limit)
  }

  /// What `hole(around:in:)` returns, whatever the implementation says, within `range` and with
  /// `index`, which is in it: less would be asked for again without end.
  func boundedHole(around index: PageIndex, in range: PageRange) -> PageRange {
    let hole = hole(around: index, in: range)
    return PageRange(
      from: min(max(hole.start, range.start), index),
      to: min(max(hole.end, index + .one), range.end))
  }
}
