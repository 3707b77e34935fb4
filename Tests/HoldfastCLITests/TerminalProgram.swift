import Foundation
import Testing

/// The built program on a pseudoterminal of its own, as a user runs it. It is killed with the object.
final class TerminalProgram {
  let process: pid_t
  private let master: Int32
  /// Kept open, so that the settings can be read when the program has ended.
  private let slave: Int32
  private(set) var output = ""
  private var hasEnded = false

  init(_ arguments: [String], columns: UInt16 = 80, rows: UInt16 = 24, variables: [String] = [])
    throws
  {
    var master: Int32 = -1
    var slave: Int32 = -1
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    try #require(openpty(&master, &slave, nil, nil, &size) == 0)
    (self.master, self.slave) = (master, slave)
    for file in [master, slave] { _ = fcntl(file, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(master, F_SETFL, O_NONBLOCK)
    let path = try #require(ttyname(slave).map { String(cString: $0) })

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // The first terminal that a new session opens becomes its own.
    for file in Int32(0)...2 {
      posix_spawn_file_actions_addopen(&actions, file, path, O_RDWR, 0)
    }
    let words = ["env", "-u", "NO_COLOR", "TERM=xterm"] + variables + [HoldfastProgram.path]
    // POSIX_SPAWN_SETSID, which Swift does not import.
    process = try HoldfastProgram.spawn(words + arguments, &actions, flags: 0x80)
  }

  deinit {
    if !hasEnded {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }
    close(master)
    close(slave)
  }

  /// Reads what the program has drawn, until a condition is true of it.
  func until(
    _ what: String, _ isSo: (String) -> Bool, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let end = ContinuousClock.now + .seconds(60)
    while !isSo(output) {
      try #require(
        ContinuousClock.now < end, "\(what): \(output.debugDescription)",
        sourceLocation: sourceLocation)
      var file = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
      poll(&file, 1, 100)
      readAll()
    }
  }

  private func readAll() {
    var block = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(master, &block, block.count)
      if count <= 0 { return }
      output += String(decoding: block[..<count], as: UTF8.self)
    }
  }

  /// What was drawn last.
  var screen: String {
    String(
      output[
        (output.range(of: "\u{1B}[H", options: .backwards)?.upperBound ?? output.startIndex)...])
  }

  /// Forgets what has been drawn so far.
  func forget() { output = "" }

  func type(_ keys: String) { _ = write(master, keys, keys.utf8.count) }

  func send(_ signal: Int32) { kill(process, signal) }

  /// Changes the size, of which the kernel tells the program.
  func resize(columns: UInt16, rows: UInt16) {
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(master, UInt(TIOCSWINSZ), &size)
  }

  /// Whether the terminal echoes and edits lines, as a shell expects it.
  var isOrdinary: Bool {
    var settings = termios()
    return tcgetattr(slave, &settings) == 0
      && settings.c_lflag & tcflag_t(ICANON | ECHO) == tcflag_t(ICANON | ECHO)
  }

  /// Whether the last of the program's controls left the alternate screen and showed the cursor.
  var isRestored: Bool {
    guard let entry = output.range(of: "\u{1B}[?1049h", options: .backwards) else { return true }
    let after = output[entry.upperBound...]
    return after.contains("\u{1B}[?1049l") && after.contains("\u{1B}[?25h")
      && after.contains("\u{1B}[?7h")
  }

  /// Whether the program has been stopped by a signal.
  func isStopped() -> Bool {
    var status: Int32 = 0
    return waitpid(process, &status, WUNTRACED | WNOHANG) == process && status & 0xFF == 0x7F
  }

  /// Waits until the program has ended.
  func wait() throws -> (status: Int32?, signal: Int32?) {
    var status: Int32 = 0
    var ended: pid_t = 0
    try until("ends") { _ in
      ended = waitpid(process, &status, WNOHANG)
      return ended != 0
    }
    hasEnded = true
    readAll()
    let signal = status & 0x7F
    return signal == 0 ? (status >> 8 & 0xFF, nil) : (nil, signal)
  }
}
