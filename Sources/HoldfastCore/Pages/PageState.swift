/// What is known of a resident page, or of each page of a superpage run (FreeBSD: `vm_page`).
///
/// | state        | valid | busy | wired | who may move it on                                |
/// |--------------|-------|------|-------|---------------------------------------------------|
/// | absent       |       |      |       | whoever makes it busy, under the object's lock    |
/// | busy-invalid | no    | yes  | 0     | the thread that made it busy, and no other        |
/// | valid        | yes   | no   | 0     | any thread under the object's lock                |
/// | wired        | yes   | no   | > 0   | whoever holds one of the wirings, to give it back |
/// | source       | yes   | yes  | any   | the thread that copies or moves it, waiting for nothing    |
///
/// There is no page that is invalid and not busy, and no wired page that is invalid.
public struct PageState: Hashable, Sendable {
  /// The frame of the page, or of the first page of a run.
  public var frame: Frame
  /// The contents are the guest's: zero if never written.
  public var isValid: Bool
  /// One thread works on the page; others wait for the object's event.
  public var isBusy: Bool
  /// How many map entries wire the page. It may neither move nor go while this is not 0.
  public var wireCount: UInt16

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

/// One slot of a page tree's node in 64 bits: nothing, a run of the slot's size, or a child node.
///
/// The frame lies in the low bits, so that the slots of a contiguous run whose pages are alike
/// differ by a constant.
struct PageSlot: Equatable {
  var rawValue: UInt64

  static let absent = PageSlot(rawValue: 0)

  private static let frameMask: UInt64 = (1 << 40) - 1
  private static let wireShift: UInt64 = 40
  private static let valid: UInt64 = 1 << 56
  private static let busy: UInt64 = 1 << 57
  private static let run: UInt64 = 1 << 62
  private static let child: UInt64 = 1 << 63

  init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  init(_ state: PageState) {
    precondition(state.frame.rawValue <= PageSlot.frameMask, "a frame number passes 2^40")
    rawValue =
      PageSlot.run | state.frame.rawValue | UInt64(state.wireCount) << PageSlot.wireShift
      | (state.isValid ? PageSlot.valid : 0) | (state.isBusy ? PageSlot.busy : 0)
  }

  init(child: Int) {
    rawValue = PageSlot.child | UInt64(child)
  }

  var isAbsent: Bool { rawValue == 0 }
  var isRun: Bool { rawValue & PageSlot.run != 0 }

  /// The child node, if the slot has one.
  var child: Int? {
    rawValue & PageSlot.child == 0 ? nil : Int(rawValue & PageSlot.frameMask)
  }

  /// The state of the run, if the slot has one.
  var state: PageState? {
    guard isRun else { return nil }
    return PageState(
      frame: Frame(rawValue & PageSlot.frameMask), isValid: rawValue & PageSlot.valid != 0,
      isBusy: rawValue & PageSlot.busy != 0,
      wireCount: UInt16(truncatingIfNeeded: rawValue >> PageSlot.wireShift))
  }

  /// The slot of the same run `pages` further on.
  func advanced(by pages: UInt64) -> PageSlot { PageSlot(rawValue: rawValue + pages) }
}
