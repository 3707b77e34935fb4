/// A number of bytes.
public struct ByteCount: UnitCount, Codable {
  /// The number of bytes.
  public let rawValue: UInt64

  /// So many bytes.
  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// A number of KiB (2^10 bytes), at most 2^64 - 1 bytes.
  @inlinable
  public static func kibibytes(_ count: UInt64) -> ByteCount {
    ByteCount(count.saturatingShift(10))
  }

  /// A number of MiB (2^20 bytes), at most 2^64 - 1 bytes.
  @inlinable
  public static func mebibytes(_ count: UInt64) -> ByteCount {
    ByteCount(count.saturatingShift(20))
  }

  /// A number of GiB (2^30 bytes), at most 2^64 - 1 bytes.
  @inlinable
  public static func gibibytes(_ count: UInt64) -> ByteCount {
    ByteCount(count.saturatingShift(30))
  }

  /// A number of TiB (2^40 bytes), at most 2^64 - 1 bytes.
  @inlinable
  public static func tebibytes(_ count: UInt64) -> ByteCount {
    ByteCount(count.saturatingShift(40))
  }

  /// Whether the count is a whole number of `unit`s; false for a unit of zero.
  @inlinable
  public func isMultiple(of unit: ByteCount) -> Bool {
    unit.rawValue != 0 && rawValue % unit.rawValue == 0
  }

  /// The largest multiple of `unit` that is no larger than this count: 0 for a unit of zero.
  @inlinable
  public func roundedDown(to unit: ByteCount) -> ByteCount {
    unit.rawValue == 0 ? .zero : ByteCount(rawValue - rawValue % unit.rawValue)
  }

  /// The smallest multiple of `unit` that is no smaller than this count; nil where it exceeds 2^64
  /// - 1, and for a unit of zero.
  @inlinable
  public func roundedUp(to unit: ByteCount) -> ByteCount? {
    if unit.rawValue == 0 { return nil }
    let remainder = rawValue % unit.rawValue
    guard remainder != 0 else { return self }
    let (sum, overflow) = rawValue.addingReportingOverflow(unit.rawValue - remainder)
    return overflow ? nil : ByteCount(sum)
  }
}

extension ByteCount {
  /// The count in the largest binary unit that divides it: `10 GiB`, `512 MiB`, `4097 bytes`.
  public var description: String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
      let size = UInt64(1) << UInt64(shift)
      if rawValue >= size, rawValue % size == 0 {
        return "\(rawValue >> UInt64(shift)) \(unit)"
      }
    }
    return "\(rawValue) bytes"
  }

  /// The count as QEMU and other monitors (VMMs) read it, in the largest unit that divides it:
  /// `10G`, `512M`, `4K`.
  public var shortDescription: String {
    for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")]
    where rawValue != 0 && rawValue % (1 << UInt64(shift)) == 0 {
      return "\(rawValue >> UInt64(shift))\(unit)"
    }
    return "\(rawValue)"
  }
}
