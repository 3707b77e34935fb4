internal import Glibc
public import HoldfastCore
internal import SystemPackage

/// A pager whose pages are those of a file: a kernel image, a snapshot (FreeBSD: the vnode pager). It
/// only reads. Pages behind the file's end read as zero, and so does the rest of its last page.
///
/// Safe from any thread: requests for different pages run at once.
public final class FilePager: Pager {
  public let path: String
  /// The bytes of the file that the pager has, from `offset` on.
  public let length: ByteCount
  private let offset: ByteCount
  private let geometry: Geometry
  private let file: FileDescriptor

  /// How much is read at once, through a buffer of this process, so that a file that fails half-way
  /// leaves nothing in a frame that another could take for a page.
  private static let chunk: UInt64 = 1 << 20

  /// Opens a file.
  ///
  /// - Parameters:
  ///   - path: a regular file that this process may read.
  ///   - offset: where in the file page 0 begins.
  ///   - geometry: the page sizes of the objects that use the pager.
  /// - Throws: `HostError` where it cannot be opened, is no regular file, or ends before `offset`.
  public init(path: String, offset: ByteCount = .zero, geometry: Geometry) throws(HostError) {
    let operation = "open \(path) for paging"
    self.path = path
    self.offset = offset
    self.geometry = geometry
    let size: UInt64
    do {
      // SAFETY: the path's bytes live through the call.
      file = try unsafe FileDescriptor.open(
        path, .readOnly, options: [.closeOnExec, .nonBlocking])
    } catch {
      throw HostError(
        operation: operation, what: "the file cannot be read",
        errno: (error as? Errno)?.rawValue, advice: "check its name and permissions")
    }
    var status = stat()
    // SAFETY: `status` is a whole stat and lives through the call.
    guard unsafe fstat(file.rawValue, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_size >= 0
    else {
      try? file.close()
      throw HostError(operation: operation, what: "it is no regular file")
    }
    size = UInt64(status.st_size)
    guard offset.rawValue <= size else {
      try? file.close()
      throw HostError(
        operation: operation, what: "it has \(size) bytes, fewer than the offset \(offset)")
    }
    length = ByteCount(size - offset.rawValue)
  }

  deinit {
    try? file.close()
  }

  public func pages(at index: PageIndex, limit: PageCount) -> PageCount {
    guard let whole = length.roundedUp(to: geometry.pageSize) else { return .zero }
    let count = geometry.pages(in: whole)
    guard index.rawValue < count.rawValue else { return .zero }
    return min(limit, PageCount(count.rawValue - index.rawValue))
  }

  public func read(
    _ pages: PageRange, into frames: FrameRun, _ store: any FrameStore
  ) throws(VMError) {
    let start = geometry.bytes(pages.start - .zero).rawValue
    let total = geometry.bytes(pages.count).rawValue
    var done: UInt64 = 0
    while done < total {
      let count = min(Self.chunk, total - done)
      var bytes = [UInt8](repeating: 0, count: Int(count))
      // The last page goes beyond the file and is zero there.
      let wanted = min(count, length.rawValue - min(length.rawValue, start + done))
      try fill(&bytes, Int(wanted), from: offset.rawValue + start + done)
      unsafe store.write(bytes.span.bytes, to: frames.start, offset: ByteCount(done))
      done += count
    }
  }

  private func fill(
    _ bytes: inout [UInt8], _ wanted: Int, from place: UInt64
  ) throws(VMError) {
    var done = 0
    while done < wanted {
      let read: Int
      do {
        // SAFETY: the buffer is the rest of what is wanted of `bytes`, which lives through the call.
        read = try unsafe bytes.withUnsafeMutableBytes { buffer in
          let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<wanted])
          return try unsafe file.read(fromAbsoluteOffset: Int64(place) + Int64(done), into: rest)
        }
      } catch {
        let code = (error as? Errno)?.rawValue
        throw VMError(.pagerFailure, "\(path) cannot be read at \(place)", errno: code)
      }
      guard read > 0 else {
        throw VMError(.pagerFailure, "\(path) has become shorter than it was when it was opened")
      }
      done += read
    }
  }
}
