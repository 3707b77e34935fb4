import HoldfastCore
import HoldfastTestKit

/// A pager whose page n is full of the byte n + 1, which counts what it is asked and fails on
/// request.
final class TestPager: Pager, @unchecked Sendable {
  private let lock = Lock()
  private let size: UInt64
  private let pageSize: Int
  // Protected by `lock`.
  private var asked: [PageRange] = []
  private var failAt: Int?
  private var hook: (@Sendable (FrameRun) -> Void)?

  init(pages: UInt64, geometry: Geometry) {
    size = pages
    pageSize = Int(geometry.pageSize.rawValue)
  }

  var requests: [PageRange] { lock.withLock { asked } }

  /// Lets the `number`th request from now on fail.
  func fail(at number: Int?) {
    lock.withLock { failAt = number.map { asked.count + $0 } }
  }

  /// Calls `body` whenever frames are about to be read into, without the lock.
  func beforeReading(_ body: (@Sendable (FrameRun) -> Void)?) {
    lock.withLock { hook = body }
  }

  func pages(at index: PageIndex, limit: PageCount) -> PageCount {
    index.rawValue < size ? min(limit, PageCount(size - index.rawValue)) : .zero
  }

  func read(
    _ pages: PageRange, into frames: FrameRun, _ store: any FrameStore
  ) throws(VMError) {
    lock.withLock { hook }?(frames)
    let fails = lock.withLock {
      asked.append(pages)
      return asked.count - 1 == failAt
    }
    for page in 0..<pages.count.rawValue {
      // A failure leaves garbage.
      if fails, page > 0 { break }
      let byte = UInt8(truncatingIfNeeded: pages.start.rawValue + page + 1)
      let bytes = [UInt8](repeating: byte, count: pageSize)
      store.write(bytes.span.bytes, to: frames.start + PageCount(page), offset: .zero)
    }
    if fails { throw VMError(.pagerFailure, "the pager was told to fail", errno: 5) }
  }
}
