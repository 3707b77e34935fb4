/// Where the pages of an object come from that were never resident: a file, a snapshot's image
/// (FreeBSD: `vm_pager`). Called with no lock held, from any thread, for different pages at once.
public protocol Pager: AnyObject, Sendable {
  /// How many pages from `index` on the pager has, at most `limit`, or 0 where the page is not its
  /// own and reads as zero (FreeBSD: `vm_pager_haspage`). Must not block: the object's lock is held.
  func pages(at index: PageIndex, limit: PageCount) -> PageCount

  /// Pages around `index`, which the pager does not have, that it does not have either: `index` itself and
  /// as many of `range` as are quickly told, so that a fault can make a large page of zeros. Must not
  /// block.
  func hole(around index: PageIndex, in range: PageRange) -> PageRange

  /// Fills the frames with the contents of pages (FreeBSD: `vm_pager_get_pages`).
  ///
  /// - Throws: what the fault or wire that needed the pages then throws.
  func read(_ pages: PageRange, into frames: FrameRun, _ store: any FrameStore)
    throws(HoldfastError)
}

extension Pager {
  /// The page alone.
  public func hole(around index: PageIndex, in range: PageRange) -> PageRange {
    PageRange(start: index, count: .one)
  }
}
