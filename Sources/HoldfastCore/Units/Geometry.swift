/// The sizes of pages: a base page and the superpages that are whole multiples of it.
///
/// A level counts from the base page, level 0; each level above is 512 of the one below, as in
/// x86-64 and AArch64 page tables. A block of order n is 2^n base pages, naturally aligned.
public struct Geometry: Hashable, Sendable {
  /// The base two logarithm of the base page in bytes.
  public let pageShift: Int
  /// How many superpage levels lie above the base page: 0, 1 or 2.
  public let superpageLevels: Int

  /// The base two logarithm of the pages of one level in a page of the next.
  public static let levelShift = 9

  /// A geometry of the given sizes. The shift is from 12 to 30 and the largest page is no larger
  /// than 2^46 bytes.
  public init(pageShift: Int, superpageLevels: Int) {
    precondition((12...30).contains(pageShift), "a base page is from 4 KiB to 1 GiB")
    precondition((0...2).contains(superpageLevels), "there are at most two superpage levels")
    self.pageShift = pageShift
    self.superpageLevels = superpageLevels
  }

  /// 4 KiB base pages with 2 MiB and 1 GiB superpages: shmem.
  public static let small = Geometry(pageShift: 12, superpageLevels: 2)
  /// 2 MiB base pages with 1 GiB superpages: hugetlb of 2 MiB.
  public static let large = Geometry(pageShift: 21, superpageLevels: 1)
  /// 1 GiB base pages and nothing above: hugetlb of 1 GiB.
  public static let giant = Geometry(pageShift: 30, superpageLevels: 0)

  /// The base page in bytes.
  @inlinable
  public var pageSize: ByteCount { ByteCount(1 << UInt64(pageShift)) }

  /// The order of a page of the level.
  @inlinable
  public func order(ofLevel level: Int) -> Int { level * Geometry.levelShift }

  /// The order of the largest block.
  @inlinable
  public var maximumOrder: Int { order(ofLevel: superpageLevels) }

  /// A page of the level in bytes.
  @inlinable
  public func size(ofLevel level: Int) -> ByteCount {
    ByteCount(1 << UInt64(pageShift + order(ofLevel: level)))
  }

  /// The smallest order at which a block is worth more whole than zeroed: a 2 MiB page, or the
  /// base page where that is no smaller. Mapping 512 zeroed base pages costs more than zeroing one
  /// superpage does.
  @inlinable
  public var largePageOrder: Int { max(0, 21 - pageShift) }

  /// Whole pages in a byte count, rounded down.
  @inlinable
  public func pages(in bytes: ByteCount) -> PageCount {
    PageCount(bytes.rawValue >> UInt64(pageShift))
  }

  @inlinable
  public func bytes(_ pages: PageCount) -> ByteCount {
    ByteCount(pages.rawValue << UInt64(pageShift))
  }

  @inlinable
  public func isPageAligned(_ range: AddressRange) -> Bool {
    range.start.isAligned(to: pageSize) && range.end.isAligned(to: pageSize)
  }

  /// The largest order at which a block may start at `position` and hold at most `limit` pages;
  /// `limit` is not zero.
  @inlinable
  public func largestOrder(at position: some PagePosition, limit: PageCount) -> Int {
    let alignment = position.rawValue == 0 ? 63 : position.rawValue.trailingZeroBitCount
    let fit = 63 - limit.rawValue.leadingZeroBitCount
    return min(maximumOrder, alignment, fit)
  }
}
