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

/// A program that inherits open files.
struct ChildProcess {
  private let process: pid_t

  /// Starts a program, a path or a name in `PATH`.
  ///
  /// - Parameters:
  ///   - words: the program and its arguments, without zero bytes.
  ///   - descriptors: stay open in the child, by their numbers.
  init(
    _ words: [[UInt8]], inheriting descriptors: [Int32], _ signals: ChildSignals
  ) throws(Errno) {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    for descriptor in descriptors {
      // A descriptor duplicated onto itself stays open on exec.
      let status = unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor)
      if status != 0 { throw Errno(rawValue: status) }
    }
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

    // SAFETY: strdup(3) copies up to the zero byte that is added here; the copies live until after
    // the call, and the list ends in nil.
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe words.map { word in
      unsafe strdup((word + [0]).map { CChar(bitPattern: $0) })
    }
    unsafe pointers.append(nil)
    defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
    guard let program = unsafe pointers[0] else { throw .noMemory }
    var process: pid_t = 0
    let status = unsafe posix_spawnp(
      &process, program, &actions, &attributes, &pointers, environ)
    if status != 0 { throw Errno(rawValue: status) }
    self.process = process
  }

  /// Passes signals on until the child ends. Also reaps other children, which process 1 of a
  /// container gets when their parents end.
  ///
  /// - Returns: its status, or 128 and the number of the signal that ended it.
  func wait(_ signals: ChildSignals) -> Int32 {
    ChildProcess.wait(for: [self], signals)[0]
  }

  /// As `wait(_:)`, for several children.
  ///
  /// - Parameters:
  ///   - passes: told of each signal, before the children get it.
  ///   - ended: told of each child that has ended, by its place, with its status.
  /// - Returns: their statuses.
  static func wait(
    for children: [ChildProcess], _ signals: ChildSignals, passes: (Int32) -> Void = { _ in },
    ended: (Int, Int32) -> Void = { _, _ in }
  ) -> [Int32] {
    var statuses = [Int32?](repeating: nil, count: children.count)
    // The terminal did not send signals to the children that arrived before they existed.
    var isEarly = true
    while statuses.contains(nil) {
      guard let (number, isFromTerminal) = signals.wait(atMost: isEarly ? 0 : nil) else {
        isEarly = false
        continue
      }
      if number == SIGCHLD {
        reap { process, status in
          guard let place = children.firstIndex(where: { $0.process == process }),
            statuses[place] == nil
          else { return }
          statuses[place] = status
          ended(place, status)
        }
        continue
      }
      passes(number)
      for (child, status) in zip(children, statuses) where status == nil {
        // The terminal sent it to its foreground process group, which has the child unless that
        // left.
        let hasIt = isFromTerminal && !isEarly && getpgid(child.process) == getpgrp()
        if !hasIt { kill(child.process, number) }
      }
    }
    endContainer()
    return statuses.map { $0 ?? 0 }
  }

  /// As process 1, ends the other processes of the container, as the kernel will when this process
  /// has ended. They may have inherited the files, whose locks hold the leases.
  private static func endContainer() {
    guard getpid() == 1 else { return }
    kill(-1, SIGKILL)
    while waitpid(-1, nil, 0) > 0 || errno == EINTR {}
  }

  /// Reaps all children that have ended.
  private static func reap(_ body: (pid_t, Int32) -> Void) {
    while true {
      var status: Int32 = 0
      let ended = unsafe waitpid(-1, &status, WNOHANG)
      if ended <= 0 { return }
      let signal = status & 0x7F
      body(ended, signal == 0 ? status >> 8 & 0xFF : 128 + signal)
    }
  }

  /// The number of the process.
  var number: Int32 { process }

  /// Ends the process, which has not been reaped.
  func end() { kill(process, SIGKILL) }
}
