/// A number with a unit of its own, such as bytes or base pages, so that no count, address or index
/// is taken for another.
///
/// A unit value is as large and as fast as its number. Its JSON form is the bare number.
///
/// The operators are transparent, so that unoptimized builds do not call them through generic code.
public protocol UnitValue: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The type of the number.
  associatedtype RawValue: FixedWidthInteger & Codable & Sendable

  /// The number, in the unit of the conforming type.
  var rawValue: RawValue { get }

  /// The value with the number `rawValue`.
  init(_ rawValue: RawValue)
}

extension UnitValue {
  /// Compares the numbers.
  @_transparent
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  /// The number in decimal digits.
  public var description: String { String(rawValue) }
}

extension UnitValue where Self: Decodable {
  /// Reads a bare number.
  public init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode(RawValue.self))
  }
}

extension UnitValue where Self: Encodable {
  /// Writes the bare number.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }
}

/// An amount of something that can be added up: `ByteCount` and `PageCount`.
///
/// Amounts come from files, options and other programs, so arithmetic never traps: a sum that is too
/// large is 2^64 - 1, which no memory has, and a difference that would be negative is nothing.
public protocol UnitCount: UnitValue, AdditiveArithmetic where RawValue == UInt64 {}

extension UnitCount {
  /// Nothing.
  @_transparent
  public static var zero: Self { Self(0) }

  /// The sum of two amounts, or 2^64 - 1 where that is less.
  @_transparent
  public static func + (left: Self, right: Self) -> Self {
    Self(left.rawValue.saturatingSum(right.rawValue))
  }

  /// The difference of two amounts, or nothing where `right` is larger.
  @_transparent
  public static func - (left: Self, right: Self) -> Self {
    Self(left.rawValue.saturatingDifference(right.rawValue))
  }

  /// Adds an amount, up to 2^64 - 1.
  @_transparent
  public static func += (left: inout Self, right: Self) { left = left + right }

  /// Subtracts an amount, down to nothing.
  @_transparent
  public static func -= (left: inout Self, right: Self) { left = left - right }
}
