internal import CHoldfastLinux
internal import Glibc
internal import SystemPackage

/// The terminal at standard input and output while a view fills its screen.
///
/// Between `begin` and `end` it shows its alternate screen, without a cursor, and passes on each key
/// at once. Used by one thread.
final class Terminal {
  private let settings: termios
  /// The descriptor that signals make readable.
  let signalFile: Int32
  private(set) var isShown = false

  /// The signals that the view handles; those that end the program come first.
  private static let endings = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
  private static let others = [SIGTSTP, SIGCONT, SIGWINCH]

  /// Takes over the signals for the calling thread, before others exist. A signal that was ignored
  /// at the start, as by nohup(1), stays ignored.
  init() throws(Errno) {
    var settings = termios()
    // SAFETY: `settings` is a whole termios and lives through the call.
    guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { throw Errno(rawValue: errno) }
    self.settings = settings
    let numbers = (Self.endings + Self.others).filter { !Signals.isIgnored($0) }
    // SAFETY: the numbers live through the call.
    signalFile = unsafe hf_signal_file(numbers, numbers.count)
    guard signalFile >= 0 else { throw Errno(rawValue: -signalFile) }
  }

  deinit { close(signalFile) }

  /// Whether the view can use the terminal: both directions are one that can move its cursor.
  static var isUsable: Bool {
    isatty(STDIN_FILENO) == 1 && StandardStreams.isTerminal(STDOUT_FILENO)
  }

  /// Whether the user wants colors (https://no-color.org).
  static var hasColors: Bool {
    // SAFETY: the text that getenv(3) points at is read at once; this program sets no variables.
    guard let value = unsafe getenv("NO_COLOR") else { return true }
    return unsafe value.pointee == 0
  }

  /// Shows the alternate screen.
  func begin() throws(Errno) {
    isShown = true
    var changed = settings
    changed.c_lflag &= ~tcflag_t(ICANON | ECHO)
    // SAFETY: `changed` is a whole termios and lives through the call.
    guard unsafe tcsetattr(STDIN_FILENO, TCSADRAIN, &changed) == 0 else {
      throw Errno(rawValue: errno)
    }
    _ = try Output.drawResults(Self.entry)
  }

  /// Shows the screen that was there before, with the settings that it had.
  func end() {
    guard isShown else { return }
    isShown = false
    var settings = settings
    // Output that ^S has stopped goes on where the terminal has no such key. Otherwise the terminal
    // would not receive the controls.
    settings.c_iflag &= ~tcflag_t(IXON)
    // SAFETY: as above. There is nothing to do about a failure, here and below.
    _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    _ = try? Output.drawResults(Self.exit)
    settings = self.settings
    _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings)
  }

  // xterm's controls: the alternate screen, no cursor, no line breaks of its own.
  private static let entry = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l"
  private static let exit = "\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

  /// Draws lines over those on the screen.
  func draw(_ lines: [String]) throws(Errno) {
    var text = "\u{1B}[H"
    for (index, line) in lines.enumerated() {
      // Erased before and not after, which would erase the last column of a full line.
      text += (index > 0 ? "\r\n" : "") + "\u{1B}[K" + line
    }
    _ = try Output.drawResults(text + "\u{1B}[J")
  }

  /// What a signal requires.
  enum Event {
    /// To draw again, for another size or after the program was stopped.
    case redraw
    /// To end by this signal.
    case end(Int32)
  }

  /// The next pending signal, or nil.
  func nextEvent() -> Event? {
    while true {
      let number = hf_next_signal(signalFile)
      switch number {
      case SIGWINCH: return .redraw
      case SIGTSTP: stop()
      // Another program may have used the terminal.
      case SIGCONT:
        isShown = false
        return (try? begin()) == nil ? .end(SIGHUP) : .redraw
      case 1...: return .end(number)
      default: return nil
      }
    }
  }

  /// Stops the program as the signal does, with the terminal as it was. SIGCONT comes next.
  private func stop() {
    end()
    var set = sigset_t()
    // SAFETY: `set` is a whole sigset_t and lives through the calls.
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGTSTP)
    raise(SIGTSTP)
    unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    // The kernel does not stop a program whose shell has gone, and sends no SIGCONT then.
    if !isShown { raise(SIGCONT) }
  }

  /// The keys that were pressed; nil where the terminal is gone.
  func keys() -> String? {
    var block = [UInt8](repeating: 0, count: 256)
    // SAFETY: the block lives through the call and has room for that many bytes.
    let count = unsafe read(STDIN_FILENO, &block, block.count)
    if count < 0, errno == EINTR || errno == EAGAIN { return "" }
    return count > 0 ? String(decoding: block[..<count], as: UTF8.self) : nil
  }
}
