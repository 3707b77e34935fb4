/// A position counted in base pages. The conforming type says what it is a position in.
public protocol PagePosition: UnitValue where RawValue == UInt64 {}

extension PagePosition {
  /// The position so many pages further on.
  @_transparent
  public static func + (left: Self, right: PageCount) -> Self {
    Self(left.rawValue + right.rawValue)
  }

  /// The number of pages from `right` to `left`, which is no lower.
  @_transparent
  public static func - (left: Self, right: Self) -> PageCount {
    PageCount(left.rawValue - right.rawValue)
  }

  /// Whether a naturally aligned block of the order may start here.
  @_transparent
  public func isAligned(toOrder order: Int) -> Bool {
    rawValue & ((1 << UInt64(order)) &- 1) == 0
  }
}
