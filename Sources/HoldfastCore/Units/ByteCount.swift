/// A number of bytes.
public struct ByteCount: Hashable, Comparable, AdditiveArithmetic, Sendable {
  public let rawValue: UInt64

  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public static let zero = ByteCount(0)

  @inlinable
  public static func kibibytes(_ count: UInt64) -> ByteCount { ByteCount(count << 10) }

  @inlinable
  public static func mebibytes(_ count: UInt64) -> ByteCount { ByteCount(count << 20) }

  @inlinable
  public static func gibibytes(_ count: UInt64) -> ByteCount { ByteCount(count << 30) }

  @inlinable
  public static func tebibytes(_ count: UInt64) -> ByteCount { ByteCount(count << 40) }

  /// Whether the count is a whole number of `unit`s; a zero unit divides nothing.
  @inlinable
  public func isMultiple(of unit: ByteCount) -> Bool {
    unit.rawValue != 0 && rawValue % unit.rawValue == 0
  }

  /// The largest multiple of `unit` that is no larger than this count. `unit` is not zero.
  @inlinable
  public func roundedDown(to unit: ByteCount) -> ByteCount {
    ByteCount(rawValue - rawValue % unit.rawValue)
  }

  /// The smallest multiple of `unit` that is no smaller, or nil where it passes 2^64 - 1.
  @inlinable
  public func roundedUp(to unit: ByteCount) -> ByteCount? {
    let remainder = rawValue % unit.rawValue
    guard remainder != 0 else { return self }
    let (sum, overflow) = rawValue.addingReportingOverflow(unit.rawValue - remainder)
    return overflow ? nil : ByteCount(sum)
  }

  /// The sum, or 2^64 - 1 where it is more: of sizes that others may have made up.
  package func saturatingSum(_ other: ByteCount) -> ByteCount {
    let (sum, overflow) = rawValue.addingReportingOverflow(other.rawValue)
    return ByteCount(overflow ? .max : sum)
  }

  @inlinable
  public static func < (left: ByteCount, right: ByteCount) -> Bool {
    left.rawValue < right.rawValue
  }

  @inlinable
  public static func + (left: ByteCount, right: ByteCount) -> ByteCount {
    ByteCount(left.rawValue + right.rawValue)
  }

  @inlinable
  public static func - (left: ByteCount, right: ByteCount) -> ByteCount {
    ByteCount(left.rawValue - right.rawValue)
  }

  @inlinable
  public static func += (left: inout ByteCount, right: ByteCount) { left = left + right }

  @inlinable
  public static func -= (left: inout ByteCount, right: ByteCount) { left = left - right }
}

extension ByteCount: CustomStringConvertible {
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
}

extension ByteCount {
  /// The size as QEMU and other monitors read it, in the largest unit that divides it: `10G`,
  /// `512M`, `4K`.
  public var shortDescription: String {
    for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")]
    where rawValue != 0 && rawValue % (1 << UInt64(shift)) == 0 {
      return "\(rawValue >> UInt64(shift))\(unit)"
    }
    return "\(rawValue)"
  }
}
