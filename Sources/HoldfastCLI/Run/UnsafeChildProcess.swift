internal import CHoldfastLinux
internal import Glibc
internal import SystemPackage

/// Signals that are for the child, taken off this process.
///
/// They are blocked rather than handled, so that none is lost between any two steps: what comes before the
/// child is there waits for it. What was ignored at the start, as by nohup(1), stays so, for the child too.
struct ChildSignals: Sendable {
  private let set: sigset_t
  /// The mask that the child is to have.
  fileprivate let before: sigset_t

  private static let passed = [
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
  ]

  /// Blocks them in the calling thread, before there are others.
  init() {
    // The child is waited for, whoever started this program.
    signal(SIGCHLD, SIG_DFL)
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for number in Self.passed where !Signals.isIgnored(number) { unsafe sigaddset(&set, number) }
    unsafe sigaddset(&set, SIGCHLD)
    var before = sigset_t()
    unsafe pthread_sigmask(SIG_BLOCK, &set, &before)
    self.set = set
    self.before = before
  }

  /// A signal that has come and that ends a program, taken off this process; nil where none has.
  func pendingEnd() -> Int32? { nextEnd(atMost: 0) }

  /// The next signal that ends a program, taken off this process; nil where none comes in the time.
  func nextEnd(atMost milliseconds: Int) -> Int32? {
    while let (number, _) = wait(atMost: milliseconds) {
      // Nothing is waited for yet, and the size of the terminal is the child's matter.
      if number != SIGCHLD, number != SIGWINCH { return number }
    }
    return nil
  }

  /// Waits for a signal for at most so long.
  ///
  /// - Returns: its number and whether the terminal sent it, which the child then has got too; nil where
  ///   none came.
  func wait(atMost milliseconds: Int? = nil) -> (number: Int32, isFromTerminal: Bool)? {
    var set = set
    var info = unsafe siginfo_t()
    let number: Int32
    if let milliseconds {
      // SAFETY: both live through the call. In C, as static programs lack the overlay's timespec.
      number = unsafe hf_signal_wait(&set, &info, milliseconds)
    } else {
      // SAFETY: as above.
      number = unsafe sigwaitinfo(&set, &info)
    }
    return number > 0 ? (number, unsafe info.si_code == 0x80) : nil
  }
}

/// A program started with an open file that it inherits.
struct ChildProcess {
  private let process: pid_t

  /// Starts a program, found as by the shell.
  ///
  /// - Parameter descriptor: stays open in the child, by its number.
  init(_ words: [String], inheriting descriptor: Int32, _ signals: ChildSignals) throws(Errno) {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // A duplicate of itself is what is not closed on exec.
    unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor)
    var mask = signals.before
    var defaults = sigset_t()
    unsafe sigemptyset(&defaults)
    // This program ignores it; others expect to be ended by it.
    unsafe sigaddset(&defaults, SIGPIPE)
    unsafe posix_spawnattr_setsigmask(&attributes, &mask)
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))

    // SAFETY: the words are copies that live until after the call; the list ends in nil.
    var pointers = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
    var process: pid_t = 0
    let status = unsafe posix_spawnp(
      &process, words[0], &actions, &attributes, &pointers, environ)
    if status != 0 { throw Errno(rawValue: status) }
    self.process = process
  }

  /// Passes signals on until the child ends.
  ///
  /// - Returns: its status, or 128 and the number of the signal that ended it.
  func wait(_ signals: ChildSignals) -> Int32 {
    // What came before the child was there, the terminal has not sent to it.
    var isEarly = true
    while true {
      guard let (number, isFromTerminal) = signals.wait(atMost: isEarly ? 0 : nil) else {
        isEarly = false
        continue
      }
      if number != SIGCHLD {
        // The terminal has sent it to all of its foreground group, where the child is unless it left it.
        let hasIt = isFromTerminal && !isEarly && getpgid(process) == getpgrp()
        if !hasIt { kill(process, number) }
        continue
      }
      var status: Int32 = 0
      guard unsafe waitpid(process, &status, WNOHANG) == process else { continue }
      let signal = status & 0x7F
      return signal == 0 ? status >> 8 & 0xFF : 128 + signal
    }
  }
}
