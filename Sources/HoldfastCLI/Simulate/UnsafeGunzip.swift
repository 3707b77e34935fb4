internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The program gzip(1), which decompresses what a thread writes to it.
final class Gunzip {
  /// The first bytes of every file that it takes.
  static let magic: [UInt8] = [0x1F, 0x8B]

  private let process: pid_t
  private let output: FileDescriptor
  private let thread: BackgroundThread

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - first: the first bytes of the file.
  ///   - next: returns the next bytes, and none at the end; called on another thread.
  /// - Throws: `noSuchFileOrDirectory` where gzip is not installed.
  init(
    _ first: ArraySlice<UInt8>, then next: @escaping @Sendable () throws -> ArraySlice<UInt8>
  ) throws {
    let (input, toProgram) = try Gunzip.pipe()
    defer { try? input.close() }
    let fromProgram: FileDescriptor
    do {
      let (read, write) = try Gunzip.pipe()
      output = read
      fromProgram = write
    } catch {
      try? toProgram.close()
      throw error
    }
    defer { try? fromProgram.close() }
    do {
      process = try Gunzip.start(input, fromProgram)
      thread = try BackgroundThread("holdfast-gunzip") {
        var piece = first
        do {
          while !piece.isEmpty {
            try toProgram.writeAll(piece)
            piece = try next()
          }
        } catch {
          // The program has ended because the bytes are not its format, or they cannot be read: it
          // finds that the file ends early.
        }
        try? toProgram.close()
      }
    } catch {
      // Where the program runs, it ends for lack of input.
      try? toProgram.close()
      try? output.close()
      throw error
    }
  }

  /// Decompressed bytes; none at the end.
  func next() throws -> ArraySlice<UInt8> {
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    // SAFETY: the buffer is all of `piece`, which lives through the call.
    let count = try unsafe piece.withUnsafeMutableBytes { try unsafe output.read(into: $0) }
    return piece[..<count]
  }

  /// Ends it.
  ///
  /// - Returns: whether it has decompressed all of the file.
  func end() -> Bool {
    // A program that has not written all ends by SIGPIPE, and then the thread by EPIPE.
    try? output.close()
    thread.join()
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
    return status == 0
  }

  private static func pipe() throws -> (read: FileDescriptor, write: FileDescriptor) {
    let (read, write) = try FileDescriptor.pipe()
    // The program must not keep the ends that this one closes.
    for end in [read, write] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
    return (read, write)
  }

  private static func start(
    _ input: FileDescriptor, _ output: FileDescriptor
  ) throws(Errno) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    unsafe posix_spawn_file_actions_adddup2(&actions, input.rawValue, STDIN_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDOUT_FILENO)
    // What it says about a damaged file is said by this program.
    unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    // This program ignores these; others expect them to end them.
    var defaults = sigset_t()
    unsafe sigemptyset(&defaults)
    unsafe sigaddset(&defaults, SIGPIPE)
    unsafe sigaddset(&defaults, SIGXFSZ)
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    var process: pid_t = 0
    // SAFETY: the words are copies that live until after the call; the list ends in nil.
    var words: [UnsafeMutablePointer<CChar>?] = unsafe [strdup("gzip"), strdup("-dc"), nil]
    defer { for index in unsafe words.indices { unsafe free(words[index]) } }
    let status = unsafe posix_spawnp(&process, "gzip", &actions, &attributes, &words, environ)
    if status != 0 { throw Errno(rawValue: status) }
    return process
  }
}
