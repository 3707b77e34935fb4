internal import Glibc

/// Cleans up on signals that ask the program to end.
///
/// A thread waits for the signals with sigwait(3), so that cleaning up is ordinary code that may
/// lock and allocate. All threads created after ``watch(_:)`` have the signals blocked. A signal
/// that was ignored at the start, as by nohup(1), stays ignored.
enum Signals {
  private static let endings = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

  /// From now on these signals first call `cleanUp` on another thread, unless the program is ending
  /// already; then they end the process by their own effect (status 128 and the signal's number in
  /// the shell). Called once, before other threads exist.
  static func watch(_ cleanUp: @escaping @Sendable () -> Void) {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in endings where !isIgnored(signal) { unsafe sigaddset(&set, signal) }
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)

    // SAFETY: the box is retained for the thread, which takes that reference over.
    let box = unsafe Unmanaged.passRetained(Work(set: set, cleanUp: cleanUp))
    var thread = pthread_t()
    let status = unsafe pthread_create(&thread, nil, Signals.body, box.toOpaque())
    if status != 0 {
      // Without the thread the signals keep their own effect.
      unsafe box.release()
      unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }
  }

  private final class Work: Sendable {
    let set: sigset_t
    let cleanUp: @Sendable () -> Void

    init(set: sigset_t, cleanUp: @escaping @Sendable () -> Void) {
      self.set = set
      self.cleanUp = cleanUp
    }
  }

  private static let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = {
    // SAFETY: the argument is the box that `watch` retained for this thread.
    guard let argument = unsafe $0 else { return nil }
    let work = unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
    var set = work.set
    var signal: Int32 = 0
    while unsafe sigwait(&set, &signal) != 0 {}
    if ExitRace.claim() { work.cleanUp() }
    end(by: signal)
  }

  /// Ends the process by a signal's own effect, so that its parent sees what happened.
  static func end(by number: Int32) -> Never {
    signal(number, SIG_DFL)
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, number)
    unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    raise(number)
    // Only the init process of a container, which signals cannot end, gets here.
    exit(128 + number)
  }

  /// Whether one of the signals has come since the one that is handled.
  static var isPending: Bool {
    var set = sigset_t()
    // SAFETY: `set` is a whole sigset_t and lives through the calls.
    guard unsafe sigpending(&set) == 0 else { return false }
    return endings.contains { unsafe sigismember(&set, $0) == 1 }
  }

  static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    // SAFETY: `action` is a whole sigaction and lives through the call.
    guard unsafe sigaction(number, nil, &action) == 0 else { return false }
    return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }
}
