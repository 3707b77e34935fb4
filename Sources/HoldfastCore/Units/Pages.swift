/// A number of base pages.
public struct PageCount: Hashable, Comparable, AdditiveArithmetic, Sendable {
  public let rawValue: UInt64

  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public static let zero = PageCount(0)
  public static let one = PageCount(1)

  /// The pages of a naturally aligned block of an order: two to its power.
  @inlinable
  public static func order(_ order: Int) -> PageCount { PageCount(1 << UInt64(order)) }

  @inlinable
  public static func < (left: PageCount, right: PageCount) -> Bool {
    left.rawValue < right.rawValue
  }

  @inlinable
  public static func + (left: PageCount, right: PageCount) -> PageCount {
    PageCount(left.rawValue + right.rawValue)
  }

  @inlinable
  public static func - (left: PageCount, right: PageCount) -> PageCount {
    PageCount(left.rawValue - right.rawValue)
  }

  @inlinable
  public static func += (left: inout PageCount, right: PageCount) { left = left + right }

  @inlinable
  public static func -= (left: inout PageCount, right: PageCount) { left = left - right }
}

/// A position counted in base pages; what it is a position in is the conforming type's matter.
public protocol PagePosition: Hashable, Comparable, Sendable, CustomStringConvertible {
  var rawValue: UInt64 { get }
  init(_ rawValue: UInt64)
}

extension PagePosition {
  @inlinable
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  @inlinable
  public static func + (left: Self, right: PageCount) -> Self {
    Self(left.rawValue + right.rawValue)
  }

  /// The pages from `right` to `left`, which is no lower.
  @inlinable
  public static func - (left: Self, right: Self) -> PageCount {
    PageCount(left.rawValue - right.rawValue)
  }

  /// Whether a naturally aligned block of the order may start here.
  @inlinable
  public func isAligned(toOrder order: Int) -> Bool {
    rawValue & ((1 << UInt64(order)) &- 1) == 0
  }

  public var description: String { String(rawValue) }
}

/// The index of a base page in a memory object (FreeBSD: `vm_pindex_t`).
public struct PageIndex: PagePosition {
  public let rawValue: UInt64

  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public static let zero = PageIndex(0)
}

/// Pages of an object from `start` up to but not including `end`.
public struct PageRange: Hashable, Sendable {
  public let start: PageIndex
  public let end: PageIndex

  @inlinable
  public init(_ start: PageIndex, _ end: PageIndex) {
    precondition(start <= end, "a range must not end before it starts")
    self.start = start
    self.end = end
  }

  @inlinable
  public init(start: PageIndex, count: PageCount) {
    self.init(start, start + count)
  }

  @inlinable
  public var count: PageCount { end - start }

  @inlinable
  public var isEmpty: Bool { start == end }

  @inlinable
  public func contains(_ index: PageIndex) -> Bool { start <= index && index < end }

  @inlinable
  public func contains(_ other: PageRange) -> Bool { start <= other.start && other.end <= end }

  @inlinable
  public func overlaps(_ other: PageRange) -> Bool { start < other.end && other.start < end }

  /// The pages of both, where they overlap.
  func clamped(to other: PageRange) -> PageRange {
    PageRange(max(start, other.start), min(end, other.end))
  }

  /// The aligned block of 2^order pages around one.
  init(around index: PageIndex, order: Int) {
    let count = PageCount.order(order)
    self.init(start: PageIndex(index.rawValue & ~(count.rawValue &- 1)), count: count)
  }
}

extension PageRange: CustomStringConvertible {
  public var description: String { "\(start)..<\(end)" }
}
