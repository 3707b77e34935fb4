internal import Glibc
internal import Synchronization

/// Standard input, output and error, made safe before anything else is opened.
enum StandardStreams {
  private static let isOutputClosed = Atomic<Bool>(false)

  /// Opens /dev/null in place of a closed standard stream. Otherwise the next file opened would get
  /// its number, and text could be printed into a guest's memory. Ignores SIGPIPE and SIGXFSZ, so
  /// that a closed pipe, or a file beyond RLIMIT_FSIZE, is an error of the write, after which the
  /// program can clean up.
  static func prepare() throws(CLIError) {
    for number in Int32(0)...2 where fcntl(number, F_GETFD) < 0 && errno == EBADF {
      if number == STDOUT_FILENO { isOutputClosed.store(true, ordering: .relaxed) }
      // open(2) takes the lowest free number, and those below are in use by now.
      guard unsafe open("/dev/null", number == STDIN_FILENO ? O_RDONLY : O_WRONLY) == number else {
        throw CLIError(
          "a standard stream is closed and /dev/null cannot be opened in its place; "
            + "try: start the program with open standard streams")
      }
    }
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Fails if standard output cannot be written, before work is done in vain.
  static func checkOutput() throws(CLIError) {
    let mode = fcntl(STDOUT_FILENO, F_GETFL)
    let isWritable = mode >= 0 && mode & O_ACCMODE != O_RDONLY
    guard isWritable, !isOutputClosed.load(ordering: .relaxed) else {
      throw CLIError(
        "cannot write the output: standard output is "
          + (isWritable ? "closed" : "not open for writing")
          + "; try: redirect it to a file or to /dev/null")
    }
  }

  /// Whether standard error is a terminal that can move its cursor.
  static var isErrorTerminal: Bool { isTerminal(STDERR_FILENO) }

  /// Whether a descriptor is a terminal that can move its cursor.
  static func isTerminal(_ descriptor: Int32) -> Bool {
    guard isatty(descriptor) == 1 else { return false }
    // SAFETY: the text that getenv(3) points at is read at once; this program sets no variables.
    guard let terminal = unsafe getenv("TERM") else { return false }
    let name = unsafe String(cString: terminal)
    return !name.isEmpty && name != "dumb"
  }

  /// The width of the terminal at standard error, or 80 if that is unknown.
  static var errorColumns: Int { size(of: STDERR_FILENO).columns }

  /// The size of a terminal, 80 by 24 where it is unknown.
  static func size(of descriptor: Int32) -> (columns: Int, rows: Int) {
    var size = winsize()
    // SAFETY: `size` is a whole winsize and lives through the call.
    let status = unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size)
    return (
      status == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80,
      status == 0 && size.ws_row > 0 ? Int(size.ws_row) : 24
    )
  }
}
