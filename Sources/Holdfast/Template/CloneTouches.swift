internal import HoldfastCore
internal import HoldfastTemplate

/// The first touches of a clone: which of them met a page that had been read ahead, and, while
/// they are recorded, their order.
///
/// A *unit* is what a page fault reads: a large page or a base page, by the granularity of the
/// clone's page faults. Each unit is in one of the `State`s. A touch is a page fault on a unit, and
/// only the first one of each unit counts.
///
/// Safe to use from any thread. `touch` is called under the locks of a chain of objects; its own
/// lock is a leaf.
final class CloneTouches: Sendable {
  private enum State: UInt8 {
    /// Neither touched nor read ahead.
    case none
    /// A thread is about to read it ahead, or does so.
    case coming
    /// It was read ahead.
    case ahead
    /// It was touched.
    case touched
  }

  /// Pages of the arena in a unit, as a power of two.
  private let order: Int
  /// The size of a unit.
  let unit: ByteCount
  private let recordingEnd: Instant?

  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var states: [State]
  private nonisolated(unsafe) var isRecording: Bool
  private nonisolated(unsafe) var record: [WorkingSet.Page] = []
  private nonisolated(unsafe) var aheadPages = PageCount.zero
  private nonisolated(unsafe) var met = 0
  private nonisolated(unsafe) var missed = 0

  /// No unit has been touched.
  ///
  /// - Parameters:
  ///   - pages: the pages of the clone's memory.
  ///   - unit: the size of a unit: a page of the geometry, or a power of two of them.
  ///   - recordingTime: for how long touches are recorded; nil for not at all.
  init(
    _ pages: PageCount, _ geometry: Geometry, unit: ByteCount, recordingTime: Duration?
  ) {
    let perUnit = max(1, geometry.pages(in: unit).rawValue)
    order = perUnit.trailingZeroBitCount
    self.unit = unit
    recordingEnd = recordingTime.map { Instant.now + $0 }
    let count = (pages.rawValue + perUnit - 1) / perUnit
    unsafe states = [State](repeating: .none, count: Int(clamping: count))
    unsafe isRecording = recordingTime != nil
  }

  /// The number of units.
  var count: Int { lock.withLock { unsafe states.count } }
  /// What was read ahead, in pages of the arena.
  var readAhead: PageCount { lock.withLock { unsafe aheadPages } }
  /// The touches that met a unit that had been read ahead, and the others.
  var counts: (met: Int, missed: Int) { lock.withLock { unsafe (met, missed) } }
  /// How many touches were recorded.
  var recorded: Int { lock.withLock { unsafe record.count } }
  /// The touches that were recorded.
  var workingSet: WorkingSet {
    WorkingSet(pageSize: unit, pages: lock.withLock { unsafe record })
  }

  private func unit(of index: PageIndex) -> Int { Int(clamping: index.rawValue >> UInt64(order)) }

  /// The units that have a page of a range; a range from outside is cut to the memory.
  private func units(of range: PageRange) -> Range<Int> {
    let count = unsafe states.count
    if range.isEmpty { return 0..<0 }
    let first = min(unit(of: range.start), count)
    let last = unit(of: PageIndex(range.end.rawValue - 1))
    return first..<max(first, min(last < Int.max ? last + 1 : count, count))
  }

  /// Notes a page fault on a page.
  func touch(_ index: PageIndex, writes: Bool) {
    let number = unit(of: index)
    lock.withLock {
      guard unsafe states.indices.contains(number), unsafe states[number] != .touched else {
        return
      }
      if unsafe states[number] == .none { unsafe missed += 1 } else { unsafe met += 1 }
      unsafe states[number] = .touched
      guard unsafe isRecording else { return }
      guard let recordingEnd, Instant.now < recordingEnd, let page = UInt32(exactly: number) else {
        unsafe isRecording = false
        return
      }
      unsafe record.append(WorkingSet.Page(page, isWritten: writes))
    }
  }

  /// Ends the recording.
  func stopRecording() { lock.withLock { unsafe isRecording = false } }

  // MARK: Ahead of touches

  /// Notes that a thread is about to read pages.
  func begin(_ range: PageRange) {
    lock.withLock {
      for number in units(of: range) where unsafe states[number] == .none {
        unsafe states[number] = .coming
      }
    }
  }

  /// Notes that it has read pages.
  func made(_ range: PageRange) {
    lock.withLock {
      unsafe aheadPages += range.count
      for number in units(of: range) where unsafe states[number] != .touched {
        unsafe states[number] = .ahead
      }
    }
  }

  /// Notes that it has ended. What it did not read itself was in memory, or failed.
  func end(_ range: PageRange) {
    lock.withLock {
      for number in units(of: range) where unsafe states[number] == .coming {
        unsafe states[number] = .none
      }
    }
  }
}
