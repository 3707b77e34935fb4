/// Addresses from `start` up to but not including `end`.
public struct AddressRange: Hashable, Sendable {
  /// The first address.
  public let start: Address
  /// The address after the last one.
  public let end: Address

  /// The addresses from `start` up to `end`, or nil where `end` is lower than `start`.
  @inlinable
  public init?(_ start: Address, _ end: Address) {
    guard start <= end else { return nil }
    self.start = start
    self.end = end
  }

  /// The addresses from `start` up to `end`, which the caller knows to be no lower.
  @inlinable
  package init(from start: Address, to end: Address) {
    precondition(start <= end, "a range must not end before it starts")
    self.start = start
    self.end = end
  }

  /// The `length` bytes from `start` on, or nil where they exceed the last address.
  @inlinable
  public init?(start: Address, length: ByteCount) {
    let (end, overflow) = start.rawValue.addingReportingOverflow(length.rawValue)
    if overflow { return nil }
    self.start = start
    self.end = Address(end)
  }

  /// A range of bounds that are in order.
  @usableFromInline
  init(checked start: Address, _ end: Address) {
    self.start = start
    self.end = end
  }

  /// The number of bytes.
  @inlinable
  public var length: ByteCount { end - start }

  /// Whether the range has no byte.
  @inlinable
  public var isEmpty: Bool { start == end }

  /// Whether an address lies in the range.
  @inlinable
  public func contains(_ address: Address) -> Bool { start <= address && address < end }

  /// Whether all of another range lies in this one.
  @inlinable
  public func contains(_ other: AddressRange) -> Bool { start <= other.start && other.end <= end }

  /// Whether the ranges have an address in common.
  @inlinable
  public func overlaps(_ other: AddressRange) -> Bool { start < other.end && other.start < end }

  /// The part that both ranges have; empty, at a bound of `other`, where they have none.
  @inlinable
  public func clamped(to other: AddressRange) -> AddressRange {
    let low = Swift.min(Swift.max(start, other.start), other.end)
    return AddressRange(checked: low, Swift.max(low, Swift.min(end, other.end)))
  }
}

extension AddressRange: CustomStringConvertible {
  /// The bounds in hexadecimal: `0x0..<0x40000000`.
  public var description: String { "\(start)..<\(end)" }
}

extension AddressRange: Codable {
  private enum CodingKeys: String, CodingKey {
    case start, end
  }

  /// Reads an object with `start` and `end`.
  ///
  /// - Throws: `DecodingError` where the range ends before it starts.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let start = try values.decode(Address.self, forKey: .start)
    let end = try values.decode(Address.self, forKey: .end)
    guard start <= end else {
      throw DecodingError.dataCorruptedError(
        forKey: .end, in: values, debugDescription: "the range ends before it starts")
    }
    self.init(from: start, to: end)
  }

  /// Writes an object with `start` and `end`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(start, forKey: .start)
    try values.encode(end, forKey: .end)
  }
}
