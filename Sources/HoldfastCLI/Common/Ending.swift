internal import Glibc
internal import Synchronization

/// How the program ends: by itself or by a signal, whichever comes first, never half one and half
/// the other.
enum Ending {
  private static let hasBegun = Atomic<Bool>(false)

  /// Told by the program that all is cleaned up and only its last words are left. Does not return
  /// where a signal came first: what failed may have failed because the cleaning up had begun.
  static func begin() {
    guard !claim() else { return }
    while true { pause() }
  }

  /// Told by the signals' thread. False where the program has cleaned up by itself.
  static func claim() -> Bool {
    !hasBegun.exchange(true, ordering: .acquiringAndReleasing)
  }
}
