/// One slot of a page tree's node in 64 bits: nothing, a run of the slot's size, or a child node.
///
/// The frame is in the low bits, so that the slots of a contiguous run whose pages are equal
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
    precondition(state.frame.rawValue <= PageSlot.frameMask, "a frame number exceeds 2^40 - 1")
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
