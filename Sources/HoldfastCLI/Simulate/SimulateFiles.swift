internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastSimulation
internal import Synchronization
internal import SystemPackage

/// The file of `--trace`.
enum TraceFile {
  private static let pieceSize = 1 << 20

  /// Reads the file a piece at a time.
  ///
  /// - Parameter progress: gets the bytes read and, for a regular file, its size.
  /// - Throws: `CLIError` if the file cannot be read or a line of it is invalid.
  static func read(
    _ path: String, progress: (_ done: ByteCount, _ all: ByteCount?) -> Void
  ) throws(CLIError) -> [TraceGuest] {
    do {
      let file = try FileDescriptor.open(FilePath(path), .readOnly)
      return try file.closeAfter {
        let all = size(of: file)
        let input = Input(file: file)
        return try guests(in: path, input) {
          progress(ByteCount(input.done.load(ordering: .relaxed)), all)
        }
      }
    } catch let error as TraceError {
      let advice = error.advice ?? "holdfast simulate --help, which lists the columns"
      throw CLIError("\(error); try: \(advice)")
    } catch {
      throw CLIError("cannot read the trace \(path): \(error); try: another --trace")
    }
  }

  /// The bytes of the file, which another thread may read.
  private final class Input: Sendable {
    private let file: FileDescriptor
    /// The number of bytes read.
    let done = Atomic<UInt64>(0)

    init(file: FileDescriptor) {
      self.file = file
    }

    /// The next bytes; none at the end.
    func next() throws -> ArraySlice<UInt8> {
      var piece = [UInt8](repeating: 0, count: pieceSize)
      // SAFETY: the buffer is all of `piece`, which lives through the call.
      let count = try unsafe piece.withUnsafeMutableBytes { buffer in
        try unsafe file.read(into: buffer)
      }
      done.wrappingAdd(UInt64(count), ordering: .relaxed)
      return piece[..<count]
    }
  }

  /// Parses the file; gzip(1) decompresses it first if it is in gzip's format.
  private static func guests(
    in path: String, _ input: Input, progress: () -> Void
  ) throws -> [TraceGuest] {
    var parser = TraceParser(file: path)
    var piece = try input.next()
    while !piece.isEmpty, piece.count < Gunzip.magic.count {
      let more = try input.next()
      if more.isEmpty { break }
      piece += more
    }
    if piece.starts(with: Gunzip.magic), let gunzip = try program(piece, input) {
      do {
        while case let part = try gunzip.next(), !part.isEmpty {
          try parser.read(part)
          progress()
        }
      } catch {
        _ = gunzip.end()
        throw error
      }
      guard gunzip.end() else {
        throw TraceError(
          file: path, line: nil, column: nil,
          reason: "the compressed file is damaged, or ends early",
          advice: "download or copy it again")
      }
    } else {
      // Without gzip(1) the parser says what the file is.
      while !piece.isEmpty {
        try parser.read(piece)
        progress()
        piece = try input.next()
      }
    }
    try parser.finish()
    return parser.guests
  }

  /// Nil where gzip(1) is not installed.
  private static func program(_ first: ArraySlice<UInt8>, _ input: Input) throws -> Gunzip? {
    do {
      return try Gunzip(first) { try input.next() }
    } catch Errno.noSuchFileOrDirectory {
      return nil
    }
  }

  private static func size(of file: FileDescriptor) -> ByteCount? {
    var status = Glibc.stat()
    // SAFETY: `status` is a whole stat and lives through the call.
    guard unsafe fstat(file.rawValue, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      return nil
    }
    return ByteCount(UInt64(status.st_size))
  }
}
