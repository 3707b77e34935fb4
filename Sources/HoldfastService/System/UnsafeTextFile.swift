internal import Glibc
internal import HoldfastCore
internal import SystemPackage

/// Small text files.
enum TextFile {
  private static let largest = 1 << 20

  /// Reads a file of UTF-8, of at most 1 MiB.
  static func read(_ path: String) throws(HoldfastError) -> String {
    var bytes: [UInt8] = []
    do throws(Errno) {
      bytes = try contents(path)
    } catch {
      throw HoldfastError(
        .host, operation: "", reason: "\(path): cannot read the file", errno: error.rawValue)
    }
    guard bytes.count <= largest else {
      throw HoldfastError(configuration: path, line: nil, "it has more than 1 MiB")
    }
    guard let text = String(validating: bytes, as: UTF8.self), !text.contains("\0") else {
      throw HoldfastError(configuration: path, line: nil, "it is not UTF-8 text")
    }
    return text
  }

  private static func contents(_ path: String) throws(Errno) -> [UInt8] {
    // O_NONBLOCK, so that a FIFO without a writer does not block.
    // SAFETY: the path's bytes live through the call.
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw Errno(rawValue: errno) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while bytes.count <= largest {
      // SAFETY: the block lives through the call and has room for that many bytes.
      let count = unsafe Glibc.read(file, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Errno(rawValue: errno) }
      if count == 0 { break }
      bytes += block[..<count]
    }
    return bytes
  }

  /// Replaces a file: a process that reads it gets the old text or the new one.
  ///
  /// The temporary file is in the same folder and has another suffix, so that a program that reads
  /// all files of a suffix does not read it.
  static func replace(_ path: String, with text: String) throws(Errno) {
    let temporary = "\(path).\(getpid()).new"
    // SAFETY: the texts' bytes live through the calls, here and below.
    unsafe unlink(temporary)
    let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw Errno(rawValue: errno) }
    var error: Errno?
    // The collector runs as another user, so the process's umask must not apply.
    if fchmod(file, 0o644) != 0 { error = Errno(rawValue: errno) }
    do throws(Errno) {
      try write(text, to: file)
    } catch let problem {
      error = problem
    }
    if close(file) != 0, error == nil { error = Errno(rawValue: errno) }
    if error == nil, unsafe rename(temporary, path) != 0 { error = Errno(rawValue: errno) }
    if let error {
      unsafe unlink(temporary)
      throw error
    }
  }

  /// Writes a whole text to a file or to a blocking socket.
  static func write(_ text: String, to file: Int32) throws(Errno) {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      // SAFETY: the buffer is the rest of `bytes`, which lives through the call.
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(file, buffer.baseAddress! + done, buffer.count - done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Errno(rawValue: count < 0 ? errno : EIO) }
      done += count
    }
  }
}
