internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// All that the program writes. Results go to standard output, and every write is checked: a full
/// disk or a closed pipe must not look like success.
enum Output {
  /// Writes results.
  static func write(_ text: String) throws(CLIError) {
    do {
      try write(text, to: .standardOutput)
    } catch {
      if error == .fileTooLarge {
        throw CLIError(
          "cannot write the output: \(ResourceLimits.fileSizeWords) (\(error)); try: "
            + ResourceLimits.fileSizeAdvice.description)
      }
      let advice =
        error == .brokenPipe
        ? "the reader closed the pipe"
        : "free space on its file system, or redirect it elsewhere"
      throw CLIError(
        "cannot write the output: \(error)" + (error == .brokenPipe ? ": " : "; try: ") + advice)
    }
  }

  /// Writes an error as one line, in the form of all errors. A failure to write it is ignored.
  static func report(_ line: String) {
    try? write("holdfast: error: \(singleLine(line))\n", to: .standardError)
  }

  /// Writes a note about something that is not an error but may surprise, in the form of errors.
  static func note(_ line: String) {
    try? write("holdfast: note: \(singleLine(line))\n", to: .standardError)
  }

  /// Writes a note about a size that was probably meant in another unit.
  static func note(on size: Size?) {
    if let text = size?.note { note(text) }
  }

  /// Draws on the terminal at standard error, where failures do not matter. Skips drawing while the
  /// terminal is stopped (^S) or slow, so that the work never waits for it.
  static func draw(_ text: String) {
    guard isWritable(.standardError) else { return }
    try? write(text, to: .standardError)
  }

  /// Draws on the terminal at standard output in the same way.
  ///
  /// - Returns: whether it was drawn.
  static func drawResults(_ text: String) throws(Errno) -> Bool {
    guard isWritable(.standardOutput) else { return false }
    try write(text, to: .standardOutput)
    return true
  }

  private static func isWritable(_ file: FileDescriptor) -> Bool {
    var request = pollfd(fd: file.rawValue, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&request, 1, 0) == 1 && request.revents == Int16(POLLOUT)
  }

  /// A text, which may quote input, without line ends and other control characters.
  static func singleLine(_ text: String) -> String {
    let spaced = String.UnicodeScalarView(text.unicodeScalars.map { $0 == "\n" ? " " : $0 })
    return String(spaced).printable
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
        // Another process that shares the stream may have made it non-blocking.
        guard error == .wouldBlock else { throw error }
        var request = pollfd(fd: file.rawValue, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&request, 1, -1)
      } catch {
        throw .ioError
      }
    }
  }
}
