internal import CHoldfastLinux
internal import Glibc
internal import SystemPackage

/// Signals that this process passes on to the child.
///
/// They are blocked rather than handled, so that none is lost between two steps: a signal that
/// arrives before the child exists stays pending for it. A signal that was ignored at the start, as
/// by nohup(1), stays ignored, in the child too.
struct ChildSignals: Sendable {
  private let set: sigset_t
  /// The signal mask of the child.
  fileprivate let before: sigset_t

  private static let passed = [
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
  ]

  /// Blocks the signals in the calling thread, before other threads exist.
  init() {
    // This program waits for the child, even if its parent ignored SIGCHLD.
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

  /// Takes a pending signal that ends a program; nil if there is none.
  func pendingTermination() -> Int32? { nextTermination(atMost: 0) }

  /// Takes the next signal that ends a program; nil if none arrives in the time.
  func nextTermination(atMost milliseconds: Int) -> Int32? {
    while let (number, _) = wait(atMost: milliseconds) {
      // There is no child yet, and the size of the terminal does not matter to this program.
      if number != SIGCHLD, number != SIGWINCH { return number }
    }
    return nil
  }

  /// Waits for a signal, with a timeout.
  ///
  /// - Returns: its number, and whether the terminal sent it, and so to the child too; nil after
  ///   the timeout.
  func wait(atMost milliseconds: Int? = nil) -> (number: Int32, isFromTerminal: Bool)? {
    var set = set
    var info = unsafe siginfo_t()
    let number: Int32
    if let milliseconds {
      // SAFETY: both live through the call. It is C because static programs lack the overlay's
      // timespec.
      number = unsafe hf_signal_wait(&set, &info, milliseconds)
    } else {
      // SAFETY: as above.
      number = unsafe sigwaitinfo(&set, &info)
    }
    return number > 0 ? (number, unsafe info.si_code == 0x80) : nil
  }
}

/// A program that inherits an open file.
struct ChildProcess {
  private let process: pid_t

  /// Starts a program, a path or a name in `PATH`.
  ///
  /// - Parameter descriptor: stays open in the child, by its number.
  init(_ words: [String], inheriting descriptor: Int32, _ signals: ChildSignals) throws(Errno) {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // A descriptor duplicated onto itself stays open on exec.
    unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor)
    var mask = signals.before
    var defaults = sigset_t()
    unsafe sigemptyset(&defaults)
    // This program ignores these; others expect them to end them.
    unsafe sigaddset(&defaults, SIGPIPE)
    unsafe sigaddset(&defaults, SIGXFSZ)
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
    // The terminal did not send signals to the child that arrived before it existed.
    var isEarly = true
    while true {
      guard let (number, isFromTerminal) = signals.wait(atMost: isEarly ? 0 : nil) else {
        isEarly = false
        continue
      }
      if number != SIGCHLD {
        // The terminal sent it to its foreground process group, which has the child unless that
        // left.
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
