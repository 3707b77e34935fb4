internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The threads of a service, which run until SIGTERM or SIGINT or until one of them ends.
///
/// The thread that calls ``run(_:reload:)`` takes the signals with sigwait(3), so that what they ask
/// for is ordinary code, and starts the other threads after it has blocked them. A thread that ends
/// sends the process a SIGTERM: its end has the effect of the signal.
struct ServiceThreads {
  /// A thread, and how it is told to end.
  struct Part: Sendable {
    /// At most 15 bytes, shown by ps(1) and top(1).
    let name: String
    let body: @Sendable () -> Void
    let stop: @Sendable () -> Void
  }

  /// How long the threads may take after they were told to stop. Then the process ends as if it had
  /// been killed, which the reservoir allows at any time.
  private static let timeout = Duration.milliseconds(1500)

  private let ended = Event()
  private let running = Locked(0)
  private var signals = sigset_t()

  /// From here on the signals do not end the process, even those that were ignored at its start.
  init() {
    unsafe sigemptyset(&signals)
    for signal in [SIGTERM, SIGINT, SIGHUP] { unsafe sigaddset(&signals, signal) }
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  /// Runs the parts to their ends, or until 1.5 seconds after they were told to stop.
  ///
  /// - Parameter reload: called at SIGHUP.
  /// - Throws: `HoldfastError` if a thread cannot be started; those that were are told to stop.
  func run(_ parts: [Part], reload: () -> Void) throws(HoldfastError) {
    var problem: Errno?
    for part in parts where problem == nil {
      running.with { $0 += 1 }
      do throws(Errno) {
        let thread = try BackgroundThread(part.name) { [ended, running] in
          part.body()
          running.with { $0 -= 1 }
          ended.announce()
          kill(getpid(), SIGTERM)
        }
        thread.detach()
      } catch {
        running.with { $0 -= 1 }
        problem = error
      }
    }
    if problem == nil { waitForTheEnd(reload) }
    for part in parts { part.stop() }
    waitForThreads()
    guard let problem else { return }
    throw HoldfastError(
      .resourceShortage, operation: "start the service", reason: "no thread can be started",
      errno: problem.rawValue)
  }

  private func waitForTheEnd(_ reload: () -> Void) {
    var signals = signals
    while true {
      var signal: Int32 = 0
      // SAFETY: both live through the call. It fails only for a signal that does not exist.
      guard unsafe sigwait(&signals, &signal) == 0, signal == SIGHUP else { return }
      reload()
    }
  }

  private func waitForThreads() {
    let end = Instant.now + Self.timeout
    while true {
      let ticket = ended.ticket()
      let left = end - Instant.now
      guard running.with({ $0 }) > 0, left > .zero else { return }
      _ = ended.wait(since: ticket, atMost: left)
    }
  }
}
