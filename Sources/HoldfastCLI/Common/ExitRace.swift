internal import Glibc
internal import Synchronization

/// Decides whether the program ends by itself or by a signal: whichever comes first, and never
/// half by one and half by the other.
enum ExitRace {
  private static let isDecided = Atomic<Bool>(false)

  /// Called when the program has cleaned up and only prints its last line. Does not return if a
  /// signal came first: the work may have failed because the signal thread was already cleaning up.
  static func end() {
    guard !claim() else { return }
    while true { pause() }
  }

  /// Called by the signal thread; false if the program has cleaned up by itself.
  static func claim() -> Bool {
    !isDecided.exchange(true, ordering: .acquiringAndReleasing)
  }
}
