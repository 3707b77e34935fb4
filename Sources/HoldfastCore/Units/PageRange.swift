/// Pages of an object from `start` up to but not including `end`.
public struct PageRange: Hashable, Sendable {
  /// The first page.
  public let start: PageIndex
  /// The page after the last one.
  public let end: PageIndex

  /// The pages from `start` up to `end`, or nil where `end` is lower than `start`.
  @inlinable
  public init?(_ start: PageIndex, _ end: PageIndex) {
    guard start <= end else { return nil }
    self.start = start
    self.end = end
  }

  /// The pages from `start` up to `end`, which the caller knows to be no lower.
  @inlinable
  package init(from start: PageIndex, to end: PageIndex) {
    precondition(start <= end, "a range must not end before it starts")
    self.start = start
    self.end = end
  }

  /// The `count` pages from `start` on, up to the last index, 2^64 - 1.
  @inlinable
  public init(start: PageIndex, count: PageCount) {
    self.start = start
    end = start + count
  }

  /// The number of pages.
  @inlinable
  public var count: PageCount { end - start }

  /// Whether the range has no page.
  @inlinable
  public var isEmpty: Bool { start == end }

  /// Whether a page lies in the range.
  @inlinable
  public func contains(_ index: PageIndex) -> Bool { start <= index && index < end }

  /// Whether all of another range lies in this one.
  @inlinable
  public func contains(_ other: PageRange) -> Bool { start <= other.start && other.end <= end }

  /// Whether the ranges have a page in common.
  @inlinable
  public func overlaps(_ other: PageRange) -> Bool { start < other.end && other.start < end }

  /// The pages of both ranges, which overlap or touch.
  func clamped(to other: PageRange) -> PageRange {
    PageRange(from: max(start, other.start), to: min(end, other.end))
  }

  /// The aligned block of 2^order pages around one.
  init(around index: PageIndex, order: Int) {
    let count = PageCount.order(order)
    self.init(start: PageIndex(index.rawValue & ~(count.rawValue &- 1)), count: count)
  }
}

extension PageRange: CustomStringConvertible {
  /// The bounds: `0..<512`.
  public var description: String { "\(start)..<\(end)" }
}
