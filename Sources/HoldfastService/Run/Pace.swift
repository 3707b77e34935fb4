internal import Glibc
internal import HoldfastCore
internal import Synchronization

/// Limits a fill to a rate, and measures its time without the wait for other fills.
final class Pace: Sendable {
  private let rate: UInt64?
  private let start = Atomic<UInt64>(Clock.monotonic)

  init(_ rate: ByteCount?) { self.rate = rate?.rawValue }

  /// Starts the measurement again.
  func restart() { start.store(Clock.monotonic, ordering: .relaxed) }

  /// The seconds since the start.
  var seconds: Double {
    Double(Clock.monotonic - start.load(ordering: .relaxed)) / 1e9
  }

  /// Waits until so many bytes may be done or the work is cancelled; calls `noteProgress`
  /// meanwhile.
  func wait(_ done: ByteCount, _ cancellation: CancellationToken, _ noteProgress: () -> Void) {
    noteProgress()
    guard let rate, done > .zero else { return }
    let due = Double(done.rawValue) / Double(rate)
    while !cancellation.isCancelled {
      let left = due - seconds
      if left <= 0 { return }
      usleep(UInt32(min(left, 0.05) * 1e6) + 1)
      noteProgress()
    }
  }
}
