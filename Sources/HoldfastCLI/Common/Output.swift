internal import Glibc
internal import SystemPackage

/// All that the program writes. Results go to standard output and every write is checked: a full
/// disk or a reader who left must not look like success.
enum Output {
  /// Writes results.
  static func write(_ text: String) throws(CLIError) {
    do {
      try write(text, to: .standardOutput)
    } catch {
      let advice =
        error == .brokenPipe
        ? "the reader of the pipe went away"
        : "make room where it goes, or redirect it elsewhere"
      throw CLIError(
        "cannot write the output: \(error)" + (error == .brokenPipe ? ": " : "; try: ") + advice)
    }
  }

  /// Writes an error as one line, in the form of all errors. Nothing is left to do if that fails.
  static func report(_ line: String) {
    try? write("holdfast: error: \(singleLine(line))\n", to: .standardError)
  }

  /// Writes what is no error but may surprise, in the form of the errors.
  static func note(_ line: String) {
    try? write("holdfast: note: \(singleLine(line))\n", to: .standardError)
  }

  /// Draws on the terminal at standard error; what cannot be drawn is not missed. Nothing is drawn
  /// while the terminal is stopped (^S) or slow, so that nobody waits for it.
  static func draw(_ text: String) {
    var request = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    guard unsafe poll(&request, 1, 0) == 1, request.revents == Int16(POLLOUT) else { return }
    try? write(text, to: .standardError)
  }

  /// A text, which may quote what someone typed, without line ends and other control characters.
  static func singleLine(_ text: String) -> String {
    var line = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let isControl = scalar.properties.generalCategory == .control
      let replacement: Unicode.Scalar = scalar == "\n" ? " " : "?"
      line.append(isControl ? replacement : scalar)
    }
    return String(line)
  }

  private static func write(_ text: String, to file: FileDescriptor) throws(Errno) {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      do {
        // SAFETY: the buffer is the rest of `bytes`, which lives through the call.
        done += try unsafe bytes.withUnsafeBytes { buffer in
          try unsafe file.write(UnsafeRawBufferPointer(rebasing: buffer[done...]))
        }
      } catch let error as Errno {
        // Whoever shares the stream may have set it to not block.
        guard error == .wouldBlock else { throw error }
        var request = pollfd(fd: file.rawValue, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&request, 1, -1)
      } catch {
        throw .ioError
      }
    }
  }
}
