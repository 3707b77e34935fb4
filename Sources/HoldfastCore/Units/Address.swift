/// A byte address in a guest's address space (FreeBSD: `vm_offset_t`, or `vm_paddr_t` of the guest).
public struct Address: Hashable, Comparable, Sendable {
  public let rawValue: UInt64

  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public static let zero = Address(0)

  @inlinable
  public static func < (left: Address, right: Address) -> Bool { left.rawValue < right.rawValue }

  @inlinable
  public static func + (left: Address, right: ByteCount) -> Address {
    Address(left.rawValue + right.rawValue)
  }

  @inlinable
  public static func - (left: Address, right: ByteCount) -> Address {
    Address(left.rawValue - right.rawValue)
  }

  /// The distance between two addresses. `left` is no lower than `right`.
  @inlinable
  public static func - (left: Address, right: Address) -> ByteCount {
    ByteCount(left.rawValue - right.rawValue)
  }

  @inlinable
  public func isAligned(to alignment: ByteCount) -> Bool {
    rawValue & (alignment.rawValue &- 1) == 0
  }

  /// The next address that is a multiple of `alignment`, a power of two, or nil past the end.
  @inlinable
  public func roundedUp(to alignment: ByteCount) -> Address? {
    ByteCount(rawValue).roundedUp(to: alignment).map { Address($0.rawValue) }
  }

  @inlinable
  public func roundedDown(to alignment: ByteCount) -> Address {
    Address(rawValue & ~(alignment.rawValue &- 1))
  }
}

extension Address: CustomStringConvertible {
  public var description: String { "0x" + String(rawValue, radix: 16) }
}

/// Addresses from `start` up to but not including `end`.
public struct AddressRange: Hashable, Sendable {
  public let start: Address
  public let end: Address

  /// A range with `start` no higher than `end`.
  @inlinable
  public init(_ start: Address, _ end: Address) {
    precondition(start <= end, "a range must not end before it starts")
    self.start = start
    self.end = end
  }

  /// The `length` bytes from `start` on, or nil where they pass the last address.
  @inlinable
  public init?(start: Address, length: ByteCount) {
    let (end, overflow) = start.rawValue.addingReportingOverflow(length.rawValue)
    if overflow { return nil }
    self.init(start, Address(end))
  }

  @inlinable
  public var length: ByteCount { end - start }

  @inlinable
  public var isEmpty: Bool { start == end }

  @inlinable
  public func contains(_ address: Address) -> Bool { start <= address && address < end }

  @inlinable
  public func contains(_ other: AddressRange) -> Bool { start <= other.start && other.end <= end }

  @inlinable
  public func overlaps(_ other: AddressRange) -> Bool { start < other.end && other.start < end }

  /// The part that both ranges have, empty at a bound where they have none.
  @inlinable
  public func clamped(to other: AddressRange) -> AddressRange {
    let low = Swift.min(Swift.max(start, other.start), other.end)
    return AddressRange(low, Swift.max(low, Swift.min(end, other.end)))
  }
}

extension AddressRange: CustomStringConvertible {
  public var description: String { "\(start)..<\(end)" }
}
