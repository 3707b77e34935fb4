/// The page sizes: a base page and the superpages that are whole multiples of it (Linux: huge
/// pages).
///
/// A level counts from the base page, level 0; a page of each level above is 512 of the one below,
/// as in x86-64 and AArch64 page tables. A block of order n is 2^n base pages, naturally aligned.
public struct Geometry: Hashable, Sendable {
  /// The base two logarithm of the base page in bytes.
  public let pageShift: Int
  /// How many superpage levels lie above the base page: 0, 1 or 2.
  public let superpageLevels: Int

  /// The base two logarithm of the number of pages of one level in a page of the next.
  public static let levelShift = 9

  /// The base two logarithm of the largest superpage in bytes that is accepted, 64 TiB: no guest is
  /// larger.
  public static let largestShift = 46

  /// A geometry of the given sizes.
  ///
  /// - Parameters:
  ///   - pageShift: the base two logarithm of the base page in bytes, from 12 (4 KiB) to 30 (1
  ///     GiB).
  ///   - superpageLevels: the number of superpage levels, from 0 to 2.
  /// - Throws: code `invalidArgument` for other numbers, and where the largest superpage would exceed
  ///   2^46 bytes.
  public init(pageShift: Int, superpageLevels: Int) throws(HoldfastError) {
    func refusal(_ reason: String) -> HoldfastError {
      HoldfastError(.invalidArgument, operation: "make a geometry", reason: reason)
    }
    guard (12...30).contains(pageShift) else {
      throw refusal("a base page of 2^\(pageShift) bytes is not from 4 KiB to 1 GiB")
    }
    guard (0...2).contains(superpageLevels) else {
      throw refusal("\(superpageLevels) superpage levels are not 0, 1 or 2")
    }
    let largest = pageShift + superpageLevels * Geometry.levelShift
    guard largest <= Geometry.largestShift else {
      throw refusal(
        "the largest superpage, of 2^\(largest) bytes, exceeds 2^\(Geometry.largestShift) bytes")
    }
    self.init(shift: pageShift, levels: superpageLevels)
  }

  /// A geometry of sizes that are known to be valid.
  package init(shift: Int, levels: Int) {
    pageShift = shift
    superpageLevels = levels
  }

  /// 4 KiB base pages with 2 MiB and 1 GiB superpages: shared or private memory.
  public static let small = Geometry(shift: 12, levels: 2)
  /// 2 MiB base pages with 1 GiB superpages: hugetlb of 2 MiB.
  public static let large = Geometry(shift: 21, levels: 1)
  /// 1 GiB base pages without superpages: hugetlb of 1 GiB.
  public static let giant = Geometry(shift: 30, levels: 0)

  /// The size of a base page.
  @inlinable
  public var pageSize: ByteCount { ByteCount(1 << UInt64(pageShift)) }

  /// The order of a page of the level. A level below the base page's counts as that, 0, and one above
  /// the largest that any geometry has as that one, 2.
  @inlinable
  public func order(ofLevel level: Int) -> Int {
    Swift.min(Swift.max(level, 0), 2) &* Geometry.levelShift
  }

  /// The order of the largest block.
  @inlinable
  public var maximumOrder: Int { order(ofLevel: superpageLevels) }

  /// The size of a page of the level, as `order(ofLevel:)` takes it.
  @inlinable
  public func size(ofLevel level: Int) -> ByteCount {
    ByteCount(1 << UInt64(pageShift + order(ofLevel: level)))
  }

  /// The order of a large page: a 2 MiB page, or the base page where that is no smaller. It is the
  /// smallest order at which a block is worth more whole than zeroed: mapping 512 zeroed base pages
  /// costs more than zeroing one superpage does.
  @inlinable
  public var largePageOrder: Int { max(0, 21 - pageShift) }

  /// The number of whole base pages in a number of bytes, rounded down.
  @inlinable
  public func pages(in bytes: ByteCount) -> PageCount {
    PageCount(bytes.rawValue >> UInt64(pageShift))
  }

  /// The number of bytes in a number of base pages, at most 2^64 - 1.
  @inlinable
  public func bytes(_ pages: PageCount) -> ByteCount {
    ByteCount(pages.rawValue.saturatingShift(pageShift))
  }

  /// Whether both bounds of a range are multiples of the base page.
  @inlinable
  public func isPageAligned(_ range: AddressRange) -> Bool {
    range.start.isAligned(to: pageSize) && range.end.isAligned(to: pageSize)
  }

  /// The largest order at which a block may start at `position` and hold at most `limit` pages; 0
  /// for no pages.
  @inlinable
  public func largestOrder(at position: some PagePosition, limit: PageCount) -> Int {
    let alignment = position.rawValue == 0 ? 63 : position.rawValue.trailingZeroBitCount
    let fit = Swift.max(0, 63 - limit.rawValue.leadingZeroBitCount)
    return min(maximumOrder, alignment, fit)
  }

  /// How many pages an object needs before its `count` mapped pages, of which there is one at
  /// least, so that these have the positions in blocks that they have from `position` on. Longer
  /// blocks than all of the pages do not matter, so the object is less than twice as long.
  func head(at position: some PagePosition, count: PageCount) -> PageCount {
    let order = min(maximumOrder, 63 - count.rawValue.leadingZeroBitCount)
    return PageCount(position.rawValue & (1 << UInt64(order) - 1))
  }
}
