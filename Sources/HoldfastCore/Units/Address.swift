/// A byte address in a guest's address space (FreeBSD: `vm_offset_t`, or `vm_paddr_t` of the
/// guest).
public struct Address: UnitValue, Codable {
  /// The number of bytes from address 0.
  public let rawValue: UInt64

  /// The address so many bytes from address 0.
  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// Address 0.
  public static let zero = Address(0)

  /// The address so many bytes further on, at most the last address, 2^64 - 1.
  @inlinable
  public static func + (left: Address, right: ByteCount) -> Address {
    Address(left.rawValue.saturatingSum(right.rawValue))
  }

  /// The address so many bytes before, at least address 0.
  @inlinable
  public static func - (left: Address, right: ByteCount) -> Address {
    Address(left.rawValue.saturatingDifference(right.rawValue))
  }

  /// The distance from `right` up to `left`; 0 where `left` is lower.
  @inlinable
  public static func - (left: Address, right: Address) -> ByteCount {
    ByteCount(left.rawValue.saturatingDifference(right.rawValue))
  }

  /// The address so many bytes further on, or nil past 2^64 - 1.
  @inlinable
  public func adding(_ bytes: ByteCount) -> Address? {
    let (sum, overflow) = rawValue.addingReportingOverflow(bytes.rawValue)
    return overflow ? nil : Address(sum)
  }

  /// The address so many bytes before, or nil below 0.
  @inlinable
  public func subtracting(_ bytes: ByteCount) -> Address? {
    bytes.rawValue > rawValue ? nil : Address(rawValue - bytes.rawValue)
  }

  /// Whether the address is a multiple of `alignment`, a power of two.
  @inlinable
  public func isAligned(to alignment: ByteCount) -> Bool {
    rawValue & (alignment.rawValue &- 1) == 0
  }

  /// The next address that is a multiple of `alignment`, a power of two; nil past 2^64 - 1.
  @inlinable
  public func roundedUp(to alignment: ByteCount) -> Address? {
    ByteCount(rawValue).roundedUp(to: alignment).map { Address($0.rawValue) }
  }

  /// The last address at or before this one that is a multiple of `alignment`, a power of two.
  @inlinable
  public func roundedDown(to alignment: ByteCount) -> Address {
    Address(rawValue & ~(alignment.rawValue &- 1))
  }

  /// The address in hexadecimal: `0x40000000`.
  public var description: String { "0x" + String(rawValue, radix: 16) }
}
