package import HoldfastCore

/// A pager whose page n, counted from 0, is full of the byte n + 1. It records the requests, and
/// fails when the test asks for that.
package final class TestPager: Pager, @unchecked Sendable {
  private let lock = Lock()
  private let first: UInt64
  private let size: UInt64
  private let pageSize: Int
  private let has: @Sendable (UInt64) -> Bool
  // Protected by `lock`.
  private var asked: [PageRange] = []
  private var failAt: Int?
  private var hook: (@Sendable (FrameRun) -> Void)?

  /// A pager of `pages` pages from the object's page `first` on, except for those that `has`
  /// excludes.
  package init(
    from first: UInt64 = 0, pages: UInt64, geometry: Geometry,
    has: @escaping @Sendable (UInt64) -> Bool = { _ in true }
  ) {
    self.has = has
    self.first = first
    size = pages
    pageSize = Int(geometry.pageSize.rawValue)
  }

  package var requests: [PageRange] { lock.withLock { asked } }

  /// Makes the `number`th request from now on fail.
  package func fail(at number: Int?) {
    lock.withLock { failAt = number.map { asked.count + $0 } }
  }

  /// Calls `body` whenever frames are about to be read into, without the lock.
  package func beforeReading(_ body: (@Sendable (FrameRun) -> Void)?) {
    lock.withLock { hook = body }
  }

  package func pages(at index: PageIndex, limit: PageCount) -> PageCount {
    let end = first + size
    var count: UInt64 = 0
    while count < limit.rawValue, index.rawValue + count >= first, index.rawValue + count < end,
      has(index.rawValue + count)
    { count += 1 }
    return PageCount(count)
  }

  package func hole(around index: PageIndex, in range: PageRange) -> PageRange {
    var (start, end) = (index, index + .one)
    func isHole(_ index: PageIndex) -> Bool { pages(at: index, limit: .one) == .zero }
    while start > range.start, isHole(PageIndex(start.rawValue - 1)) {
      start = PageIndex(start.rawValue - 1)
    }
    while end < range.end, isHole(end) { end = end + .one }
    return PageRange(from: start, to: end)
  }

  package func read(
    _ pages: PageRange, into frames: FrameRun, _ store: any FrameStore
  ) throws(HoldfastError) {
    lock.withLock { hook }?(frames)
    let fails = lock.withLock {
      asked.append(pages)
      return asked.count - 1 == failAt
    }
    for page in 0..<pages.count.rawValue {
      // A failure leaves garbage.
      if fails, page > 0 { break }
      let byte = UInt8(truncatingIfNeeded: pages.start.rawValue - first + page + 1)
      let bytes = [UInt8](repeating: byte, count: pageSize)
      // SAFETY: the array outlives the call.
      unsafe store.write(bytes.span.bytes, to: frames.start + PageCount(page), offset: .zero)
    }
    if fails { throw HoldfastError(.pagerFailure, "the test's pager fails", errno: 5) }
  }
}
