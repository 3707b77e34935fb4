/// The index of a base page in a memory object (FreeBSD: `vm_pindex_t`).
public struct PageIndex: PagePosition {
  /// The number of base pages before this one.
  public let rawValue: UInt64

  /// The page that follows so many others.
  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// The first page.
  public static let zero = PageIndex(0)
}
