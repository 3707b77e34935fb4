internal import CHoldfastLinux
internal import Glibc
public import HoldfastCore
internal import SystemPackage

/// A pager whose pages are those of a file, such as a kernel image or a snapshot (FreeBSD: the
/// vnode pager). It only reads. Pages behind the end of the file, and the rest of its last page,
/// are zero.
///
/// The file's holes are found once, when it is opened; their pages are zero without being read. No
/// process should write to the file while it is in use. A file that became shorter makes the page
/// fault fail, but never raises SIGBUS, because it is read and not mapped.
///
/// Safe to use from any thread; requests for different pages are concurrent.
public final class FilePager: Pager {
  /// The path that the file was opened with.
  public let path: String
  /// The bytes of the file from the pager's offset.
  public let length: ByteCount
  private let offset: ByteCount
  private let geometry: Geometry
  private let file: FileDescriptor
  /// The ranges of pages that are not in a hole, in ascending order, none adjacent to another.
  let data: [PageRange]
  /// The bytes of the file that are not in holes, in whole pages.
  public let dataLength: ByteCount

  /// The bytes that are read at once, into a buffer of this process.
  private static let chunk: UInt64 = 1 << 20

  /// Opens a file.
  ///
  /// - Parameters:
  ///   - path: a regular file that this process may read.
  ///   - offset: the offset of page 0 in the file.
  ///   - geometry: the page sizes of the objects that use the pager.
  /// - Throws: `HoldfastError` with code `host` if the file cannot be opened, is not a regular
  ///   file, or ends before `offset`.
  /// - Complexity: O(holes).
  public init(path: String, offset: ByteCount = .zero, geometry: Geometry) throws(HoldfastError) {
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
      throw HoldfastError(
        .host, operation: operation, reason: "the file cannot be read",
        errno: (error as? Errno)?.rawValue, advice: .other("check its name and permissions"))
    }
    var status = stat()
    // SAFETY: `status` is a whole stat and lives through the call.
    guard unsafe fstat(file.rawValue, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_size >= 0
    else {
      try? file.close()
      throw HoldfastError(.host, operation: operation, reason: "it is not a regular file")
    }
    size = UInt64(status.st_size)
    guard offset.rawValue <= size else {
      try? file.close()
      throw HoldfastError(
        .host, operation: operation,
        reason: "it has only \(size) bytes, less than the offset \(offset)"
      )
    }
    length = ByteCount(size - offset.rawValue)
    data = FilePager.data(of: file, offset.rawValue..<size, geometry)
    dataLength = geometry.bytes(data.reduce(.zero) { $0 + $1.count })
  }

  /// The pages of a part of a file that are not in holes; all of them if the file system does not
  /// report holes. The corresponding C function is `lseek`, with SEEK_DATA and SEEK_HOLE.
  private static func data(
    of file: FileDescriptor, _ part: Range<UInt64>, _ geometry: Geometry
  ) -> [PageRange] {
    let page = geometry.pageSize.rawValue
    func pages(_ bytes: Range<UInt64>) -> PageRange {
      PageRange(
        from: PageIndex((bytes.lowerBound - part.lowerBound) / page),
        to: PageIndex((bytes.upperBound - part.lowerBound + page - 1) / page))
    }
    if part.isEmpty { return [] }
    var found: [PageRange] = []
    var position = part.lowerBound
    while position < part.upperBound {
      let start = hf_seek(file.rawValue, position, 0)
      // Only a hole is left.
      if start == -Int64(ENXIO) { break }
      let end = start < 0 ? -1 : hf_seek(file.rawValue, UInt64(start), 1)
      // If the file became shorter meanwhile, reading reports that.
      guard end > start, start >= Int64(position) else { return [pages(part)] }
      if UInt64(start) >= part.upperBound { break }
      let next = pages(UInt64(start)..<min(UInt64(end), part.upperBound))
      if let last = found.last, last.end >= next.start {
        found[found.count - 1] = PageRange(from: last.start, to: next.end)
      } else {
        found.append(next)
      }
      position = UInt64(end)
    }
    return found
  }

  deinit {
    try? file.close()
  }

  /// The number of pages from an index that are not in a hole, at most `limit`.
  ///
  /// - Complexity: O(log holes).
  public func pages(at index: PageIndex, limit: PageCount) -> PageCount {
    let next = firstData(after: index)
    guard next < data.count, data[next].start <= index else { return .zero }
    return min(limit, data[next].end - index)
  }

  /// The hole around an index, clamped to `range`.
  ///
  /// - Complexity: O(log holes).
  public func hole(around index: PageIndex, in range: PageRange) -> PageRange {
    let next = firstData(after: index)
    let start = next > 0 ? data[next - 1].end : .zero
    let end = next < data.count ? data[next].start : range.end
    let first = min(max(start, range.start), range.end)
    return PageRange(from: first, to: max(first, min(end, range.end)))
  }

  /// The pages that are not in a hole, split at multiples of a size that is at least a page.
  package func dataPieces(of size: ByteCount) -> [PageRange] {
    let most = max(1, geometry.pages(in: size).rawValue)
    var pieces: [PageRange] = []
    for part in data {
      var start = part.start
      while start < part.end {
        let end = min(part.end, PageIndex((start.rawValue / most + 1) * most))
        pieces.append(PageRange(from: start, to: end))
        start = end
      }
    }
    return pieces
  }

  /// The index in `data` of the first range that ends behind a page.
  ///
  /// - Complexity: O(log holes).
  private func firstData(after index: PageIndex) -> Int {
    data.partitioningIndex { $0.end > index }
  }

  /// Reads pages into frames. The corresponding C function is `pread`.
  ///
  /// - Throws: `HoldfastError` with code `pagerFailure` if the file cannot be read or became
  ///   shorter.
  public func read(
    _ pages: PageRange, into frames: FrameRun, _ store: any FrameStore
  ) throws(HoldfastError) {
    let start = geometry.bytes(pages.start - .zero).rawValue
    let total = geometry.bytes(pages.count).rawValue
    guard offset.rawValue.saturatingSum(start).saturatingSum(total) <= UInt64(Int64.max) else {
      throw HoldfastError(.pagerFailure, "\(path) has no page \(pages.start)")
    }
    var done: UInt64 = 0
    while done < total {
      let count = min(Self.chunk, total - done)
      var bytes = [UInt8](repeating: 0, count: Int(count))
      // The last page exceeds the file, and is zero there.
      let wanted = min(count, length.rawValue - min(length.rawValue, start + done))
      try fill(&bytes, Int(wanted), from: offset.rawValue + start + done)
      unsafe store.write(bytes.span.bytes, to: frames.start, offset: ByteCount(done))
      done += count
    }
  }

  private func fill(
    _ bytes: inout [UInt8], _ wanted: Int, from position: UInt64
  ) throws(HoldfastError) {
    var done = 0
    while done < wanted {
      let read: Int
      do {
        // SAFETY: the buffer is the rest of what is wanted of `bytes`, which lives through the
        // call.
        read = try unsafe bytes.withUnsafeMutableBytes { buffer in
          let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<wanted])
          return try unsafe file.read(fromAbsoluteOffset: Int64(position) + Int64(done), into: rest)
        }
      } catch {
        let code = (error as? Errno)?.rawValue
        throw HoldfastError(.pagerFailure, "\(path) cannot be read at \(position)", errno: code)
      }
      guard read > 0 else {
        throw HoldfastError(
          .pagerFailure, "\(path) has become shorter since it was opened")
      }
      done += read
    }
  }
}
