/// The state of a resident page, or of each page of a superpage run (FreeBSD: `vm_page`).
///
/// A page that is not absent is fresh (busy and invalid), resident, wired, or the source of a copy
/// or a move (busy and valid). No page is invalid and not busy, and no wired page is invalid. The
/// table "Page states" of ARCHITECTURE.md says which thread may change which state.
public struct PageState: Hashable, Sendable {
  /// The frame of the page, or of the first page of a run.
  public var frame: Frame
  /// Whether the contents are the guest's: zero if it never wrote to the page (FreeBSD:
  /// `vm_page_all_valid`).
  public var isValid: Bool
  /// Whether one thread works on the page; others wait for the object's event
  /// (FreeBSD: `vm_page_xbusy`).
  public var isBusy: Bool
  /// How many map entries wire the page (FreeBSD: `vm_page_wired`). While this is not 0, the page
  /// is neither moved nor freed.
  public var wireCount: UInt16

  /// Creates a state; the parameters are the properties.
  public init(frame: Frame, isValid: Bool, isBusy: Bool, wireCount: UInt16 = 0) {
    self.frame = frame
    self.isValid = isValid
    self.isBusy = isBusy
    self.wireCount = wireCount
  }

  /// The state of the page `pages` further on in the same run.
  func advanced(by pages: PageCount) -> PageState {
    var state = self
    state.frame = frame + pages
    return state
  }
}
