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

  /// The pages of a naturally aligned block of an order: two to its power.
  @inlinable
  public static func order(_ order: Int) -> PageCount { PageCount(1 << UInt64(order)) }
}
