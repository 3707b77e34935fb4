extension UInt64 {
  /// The sum, or 2^64 - 1 where it is larger.
  @inlinable
  package func saturatingSum(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  /// The difference, or 0 where it is negative.
  @inlinable
  package func saturatingDifference(_ other: UInt64) -> UInt64 {
    other > self ? 0 : self &- other
  }

  /// The product, or 2^64 - 1 where it is larger.
  @inlinable
  package func saturatingProduct(_ other: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }

  /// The product with two to the power of `shift`, 0 to 63, or 2^64 - 1 where it is larger.
  @inlinable
  package func saturatingShift(_ shift: Int) -> UInt64 {
    leadingZeroBitCount >= shift || self == 0 ? self &<< UInt64(shift) : .max
  }
}
