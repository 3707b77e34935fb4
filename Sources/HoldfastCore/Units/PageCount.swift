/// A number of base pages.
public struct PageCount: UnitCount, Codable {
  /// The number of base pages.
  public let rawValue: UInt64

  /// So many base pages.
  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// One base page.
  public static let one = PageCount(1)

  /// The pages of a naturally aligned block of an order, 0 to 63: two to its power. A negative order
  /// counts as 0, and a higher one as 63.
  @inlinable
  public static func order(_ order: Int) -> PageCount {
    PageCount(1 &<< UInt64(Swift.min(Swift.max(order, 0), 63)))
  }
}
