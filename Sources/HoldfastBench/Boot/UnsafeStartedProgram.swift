internal import CHoldfastBench
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A program that runs beside this one, in a process group of its own, and ends with it.
final class StartedProgram {
  private let process: Int32
  private let output: Int32
  private let errors: Int32
  private var status: Int32?

  /// Starts a program, found as by the shell.
  init(_ words: [String]) throws(Errno) {
    if words.contains(where: { $0.utf8.contains(0) }) { throw .invalidArgument }
    // SAFETY: the words are copies that live until after the call; the list ends in nil.
    var pointers = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
    var (output, errors): (Int32, Int32) = (-1, -1)
    let process = unsafe pointers.withUnsafeMutableBufferPointer {
      unsafe hf_bench_start($0.baseAddress!, &output, &errors)
    }
    guard process > 0 else { throw Errno(rawValue: -process) }
    self.process = process
    self.output = output
    self.errors = errors
  }

  deinit {
    kill()
    close(output)
    close(errors)
  }

  /// What the program, or one that it has started, has written.
  ///
  /// - Returns: no bytes when all of them have closed their output; nil where nothing came in the
  ///   time.
  func read(milliseconds: Int32) throws(Errno) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 4096)
    // SAFETY: the buffer lives through the call, which writes no more than there is room.
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe hf_bench_next_output(output, $0.baseAddress!, $0.count, milliseconds)
    }
    if count == -Int64(EAGAIN) { return nil }
    guard count >= 0 else { throw Errno(rawValue: Int32(-count)) }
    return Array(bytes.prefix(Int(count)))
  }

  /// The status if the program has ended: its own, or 128 and the number of the signal that ended it.
  func endedStatus() -> Int32? {
    if let status { return status }
    let result = hf_bench_ended(process)
    // A process that cannot be waited for has ended: its status is lost.
    if result != -EAGAIN { status = result < 0 ? 127 : result }
    return status
  }

  /// Waits for the program's end.
  ///
  /// - Returns: its status, or nil after the time.
  func wait(within time: Duration) -> Int32? {
    let end = Instant.now + time
    while true {
      if let status = endedStatus() { return status }
      guard Instant.now < end else { return nil }
      usleep(1000)
    }
  }

  /// Asks the program to end, and kills it and those that it has started where it does not in a time.
  func end(within time: Duration = .seconds(10)) {
    guard endedStatus() == nil else { return }
    Glibc.kill(process, SIGTERM)
    if wait(within: time) == nil { kill() }
  }

  private func kill() {
    guard endedStatus() == nil else { return }
    // Its group first: what the program has started would go on.
    Glibc.kill(-process, SIGKILL)
    Glibc.kill(process, SIGKILL)
    _ = wait(within: .seconds(10))
  }

  /// The last line of the program's messages; nil without any.
  var message: String? { lines.last }

  /// The last error that `holdfast` has reported, without the words before it; nil without any.
  var error: String? {
    let prefix = "holdfast: error: "
    return lines.last { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
  }

  /// The program's messages.
  private var lines: [String] {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    // SAFETY: the buffer lives through the call, which writes no more than there is room.
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe pread(errors, $0.baseAddress!, $0.count, 0)
    }
    let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).map(String.init)
  }
}
