/// Where the pages of an object come from that were never resident: a file, a snapshot's image
/// (FreeBSD: `vm_pager`). Called with no lock held, from any thread, for different pages at once.
public protocol Pager: AnyObject, Sendable {
  /// How many pages from `index` on the pager has, at most `limit`, or 0 where the page is not its
  /// own and reads as zero (FreeBSD: `vm_pager_haspage`). Must not block: the object's lock is held.
  func pages(at index: PageIndex, limit: PageCount) -> PageCount

  /// Fills the frames with the contents of pages (FreeBSD: `vm_pager_get_pages`).
  ///
  /// - Throws: what the fault or wire that needed the pages then throws.
  func read(_ pages: PageRange, into frames: FrameRun, _ store: any FrameStore) throws(VMError)
}
