/// A position counted in base pages. The conforming type says what it is a position in.
public protocol PagePosition: UnitValue where RawValue == UInt64 {}

extension PagePosition {
  /// The position so many pages further on, at most the last one, 2^64 - 1.
  @_transparent
  public static func + (left: Self, right: PageCount) -> Self {
    Self(left.rawValue.saturatingSum(right.rawValue))
  }

  /// The number of pages from `right` up to `left`; 0 where `left` is lower.
  @_transparent
  public static func - (left: Self, right: Self) -> PageCount {
    PageCount(left.rawValue.saturatingDifference(right.rawValue))
  }

  /// Whether a naturally aligned block of the order, 0 to 63, may start here; false for others.
  @_transparent
  public func isAligned(toOrder order: Int) -> Bool {
    order >= 0 && order < 64 && rawValue & ((1 &<< UInt64(order)) &- 1) == 0
  }
}
