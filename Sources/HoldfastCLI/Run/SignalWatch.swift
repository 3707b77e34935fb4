internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import Synchronization
internal import SystemPackage

/// Cancels work when a signal arrives that ends the program. A thread waits for the signals.
final class SignalWatch: Sendable {
  /// Cancelled when such a signal arrives.
  let cancellation: CancellationToken
  private let state: State
  private let thread: BackgroundThread

  private final class State: Sendable {
    let cancellation = CancellationToken()
    /// The signal, or 0.
    let number = Atomic<Int32>(0)
    let isStopped = Atomic<Bool>(false)
  }

  /// Starts the thread. The caller has blocked the signals.
  init(_ signals: ChildSignals) throws(Errno) {
    let state = State()
    self.state = state
    cancellation = state.cancellation
    thread = try BackgroundThread("holdfast-signal") {
      while !state.isStopped.load(ordering: .acquiring) {
        // A single wait, which SIGCHLD of `stop` ends at once. The time limit is for the case that
        // another thread takes that signal.
        guard let (number, _) = signals.wait(atMost: 100), number != SIGCHLD, number != SIGWINCH
        else { continue }
        state.number.store(number, ordering: .relaxed)
        state.cancellation.cancel()
      }
    }
  }

  /// Ends the thread, after which signals stay pending. Called once.
  ///
  /// - Returns: the signal that arrived, or nil.
  func stop() -> Int32? {
    state.isStopped.store(true, ordering: .releasing)
    // Wakes the thread at once; a monitor that is not there yet cannot have sent another.
    kill(getpid(), SIGCHLD)
    thread.join()
    let number = state.number.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }
}
