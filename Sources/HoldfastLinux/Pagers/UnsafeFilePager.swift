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
  private let disk: DiskReader
  private let lock = Lock()
  /// The file past the page cache, for as long as `readingPastCache` runs: a descriptor less for
  /// each guest that only faults. Protected by `lock`.
  private nonisolated(unsafe) var ahead: DiskReader?
  /// The ranges of pages that are not in a hole, in ascending order, none adjacent to another.
  let data: [PageRange]
  /// The bytes of the file that are not in holes, in whole pages.
  public let dataLength: ByteCount

  /// The bytes that are read at once for a store that only takes copies.
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
    let file: FileDescriptor
    do {
      // SAFETY: the path's bytes live through the call.
      file = try unsafe FileDescriptor.open(
        path, .readOnly, options: [.closeOnExec, .nonBlocking])
    } catch {
      throw HoldfastError(
        .host, operation: Self.operation(path), reason: "the file cannot be read",
        errno: (error as? Errno)?.rawValue, advice: .other("check its name and permissions"))
    }
    self.path = path
    self.offset = offset
    self.geometry = geometry
    let open = OpenFile(descriptor: file.rawValue)
    disk = DiskReader(open, pastCache: false)
    (length, data) = try FilePager.contents(of: open, path, offset, geometry, known: nil)
    dataLength = geometry.bytes(data.reduce(.zero) { $0 + $1.count })
  }

  /// The same for a file that is open for reading.
  ///
  /// - Parameters:
  ///   - path: the path, for errors.
  ///   - known: the ranges of bytes that are not in holes, in ascending order; nil to ask the file
  ///     system, which takes 10 ms for each GiB of base pages on tmpfs.
  package init(
    _ file: OpenFile, path: String, offset: ByteCount = .zero, geometry: Geometry,
    data known: [Range<UInt64>]? = nil
  ) throws(HoldfastError) {
    self.path = path
    self.offset = offset
    self.geometry = geometry
    disk = DiskReader(file, pastCache: false)
    (length, data) = try FilePager.contents(of: file, path, offset, geometry, known: known)
    dataLength = geometry.bytes(data.reduce(.zero) { $0 + $1.count })
  }

  private static func operation(_ path: String) -> String { "open \(path) for paging" }

  /// The length of a file from an offset on, and its pages that are not in holes.
  private static func contents(
    of file: OpenFile, _ path: String, _ offset: ByteCount, _ geometry: Geometry,
    known: [Range<UInt64>]?
  ) throws(HoldfastError) -> (ByteCount, [PageRange]) {
    guard let status = try? file.status(), status.isRegular else {
      throw HoldfastError(
        .host, operation: operation(path), reason: "it is not a regular file")
    }
    let size = status.size.rawValue
    guard offset.rawValue <= size else {
      throw HoldfastError(
        .host, operation: operation(path),
        reason: "it has only \(size) bytes, less than the offset \(offset)")
    }
    let part = offset.rawValue..<size
    let ranges = known?.map { $0.clamped(to: part) } ?? file.dataRanges(of: part)
    return (ByteCount(size - offset.rawValue), pages(ranges, from: offset.rawValue, geometry))
  }

  /// The pages of ranges of bytes of a file, from an offset on.
  private static func pages(
    _ ranges: [Range<UInt64>], from offset: UInt64, _ geometry: Geometry
  ) -> [PageRange] {
    let page = geometry.pageSize.rawValue
    var found: [PageRange] = []
    for range in ranges where !range.isEmpty {
      let next = PageRange(
        from: PageIndex((range.lowerBound - offset) / page),
        to: PageIndex((range.upperBound - offset + page - 1) / page))
      if let last = found.last, last.end >= next.start {
        found[found.count - 1] = PageRange(from: last.start, to: max(last.end, next.end))
      } else {
        found.append(next)
      }
    }
    return found
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

  /// Calls `body`, during which pages that the page cache does not have are read past it: faster
  /// for many pages by several threads, but the next reader finds nothing in the cache.
  package func readingPastCache<Result>(
    _ body: () throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    let direct = DiskReader(disk.cached, pastCache: true)
    lock.withLock { unsafe ahead = direct }
    defer { lock.withLock { unsafe ahead = nil } }
    return try body()
  }

  /// Reads pages into frames; into those of an arena without a copy. The corresponding C function
  /// is `pread`.
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
    // The last page exceeds the file, and is zero there.
    let wanted = min(total, length.rawValue - min(length.rawValue, start))
    let position = offset.rawValue + start
    if let arena = store as? Arena {
      let file = lock.withLock { unsafe ahead } ?? disk
      try read(wanted, at: position) { () throws(Errno) in
        try arena.directMap.read(file, at: position, into: frames.start, count: wanted)
      }
    } else {
      try copy(wanted, at: position, to: frames.start, store)
    }
    guard wanted < total else { return }
    store.zero(frames.start, offset: ByteCount(wanted), count: ByteCount(total - wanted))
  }

  /// Calls `body`, which reads so many bytes.
  private func read(
    _ wanted: UInt64, at position: UInt64, _ body: () throws(Errno) -> UInt64
  ) throws(HoldfastError) {
    let count: UInt64
    do throws(Errno) {
      count = try body()
    } catch {
      throw HoldfastError(
        .pagerFailure, "\(path) cannot be read at \(position)", errno: error.rawValue)
    }
    guard count == wanted else {
      throw HoldfastError(.pagerFailure, "\(path) has become shorter since it was opened")
    }
  }

  /// Reads bytes into a store that only takes copies.
  private func copy(
    _ wanted: UInt64, at position: UInt64, to frame: Frame, _ store: any FrameStore
  ) throws(HoldfastError) {
    var bytes = [UInt8](repeating: 0, count: Int(min(wanted, Self.chunk)))
    var done: UInt64 = 0
    while done < wanted {
      let count = min(Self.chunk, wanted - done)
      try read(count, at: position + done) { () throws(Errno) in
        // SAFETY: the buffer is the first bytes of `bytes`, which lives through the call.
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        return try unsafe raw.withUnsafeMutableBytes { (buffer) throws(Errno) in
          let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(count)])
          return UInt64(unsafe try disk.read(part, at: position + done))
        }
      }
      let part = unsafe bytes.span.bytes.extracting(0..<Int(count))
      store.write(part, to: frame, offset: ByteCount(done))
      done += count
    }
  }
}
