internal import CHoldfastLinux
internal import Glibc
package import HoldfastCore
package import SystemPackage

/// Writes an image to an empty file, and leaves out blocks that are zero.
///
/// Several threads may write to different ranges at once. They take turns: the file systems' own
/// lock allows one thread at a time, and several that spin for it take the processors from those
/// that have other work, and four times as long (ext4 on two processors). The page cache takes the
/// bytes, and the disk begins with each piece at once instead of when the cache has to be written.
/// Together that is faster than one thread past the page cache (O_DIRECT), needs no alignment, and
/// works on every file system.
///
/// A file on hugetlbfs cannot be written, only mapped. There each huge page with something in it is
/// mapped and populated, so that a shortage is an error, and written through the mapping.
package final class ImageWriter: Sendable {
  private let file: OpenFile
  /// The size of the file's huge pages; nil on other file systems.
  private let hugePage: ByteCount?
  /// Held while a thread writes; a leaf.
  private let lock = Lock()

  /// The unit, in bytes, in which zeros are found and left out.
  package static let block = 4096
  /// If a call writes so many bytes, the disk begins with them. Fewer wait for the kernel to join
  /// them with their neighbors.
  private static let leastToStart = 1 << 18

  /// - Parameter file: open for writing, with its final size.
  package init(_ file: OpenFile) {
    self.file = file
    let system = try? file.fileSystem()
    hugePage = system?.kind == .hugetlbfs ? system?.pageSize : nil
  }

  /// Writes bytes at an offset, except blocks that are zero; blocks are counted from the first
  /// byte. The corresponding C functions are `pwrite` and `sync_file_range`, or `mmap` and `madvise`.
  ///
  /// Looks for zeros without a lock, and then takes the file's, so threads that prepare their bytes
  /// are not held up by one that writes. The disk begins at once with what was written.
  ///
  /// - Returns: the number of bytes written.
  /// - Throws: the errno of the call that failed; `noMemory` where hugetlbfs has no free page.
  package func write(_ bytes: RawSpan, at offset: ByteCount) throws(Errno) -> ByteCount {
    let runs = Self.runs(of: bytes)
    let written = runs.reduce(0) { $0 + $1.count }
    if written == 0 { return .zero }
    if let hugePage {
      try copy(bytes, runs, at: offset.rawValue, hugePage.rawValue)
      return ByteCount(UInt64(written))
    }
    try lock.withLock { () throws(Errno) in
      for run in runs {
        try writeAll(bytes.extracting(run), at: offset.rawValue + UInt64(run.lowerBound))
      }
    }
    if written >= Self.leastToStart {
      // A failure shows when the file is flushed.
      _ = hf_start_writing(file.descriptor, offset.rawValue, UInt64(bytes.byteCount))
    }
    return ByteCount(UInt64(written))
  }

  /// The runs of blocks that are not zero, in ascending order. Looks at each block once.
  private static func runs(of bytes: RawSpan) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for start in stride(from: 0, to: bytes.byteCount, by: block) where !isZero(bytes, start) {
      let end = min(start + block, bytes.byteCount)
      if let last = runs.last, last.upperBound == start {
        runs[runs.count - 1] = last.lowerBound..<end
      } else {
        runs.append(start..<end)
      }
    }
    return runs
  }

  /// Whether a block, or the rest of the bytes, is zero.
  private static func isZero(_ bytes: RawSpan, _ start: Int) -> Bool {
    let count = min(block, bytes.byteCount - start)
    // SAFETY: `count` bytes from `start` are in the span. They are zero if the first is, and each
    // equals the one before it.
    return unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return true }
      let first = unsafe base + start
      return unsafe first.load(as: UInt8.self) == 0 && memcmp(first, first + 1, count - 1) == 0
    }
  }

  private func writeAll(_ bytes: RawSpan, at offset: UInt64) throws(Errno) {
    var done = 0
    while done < bytes.byteCount {
      // SAFETY: the rest of the bytes lives through the call.
      let count = unsafe bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else { return Int64(0) }
        return unsafe hf_write_at(
          file.descriptor, base + done, buffer.count - done, offset + UInt64(done))
      }
      if count < 0 { throw Errno(rawValue: Int32(-count)) }
      // pwrite(2) reports the reason of a short write in the next call.
      guard count > 0 else { throw .ioError }
      done += Int(count)
    }
  }

  /// Copies bytes to the huge pages that have a part of the runs, each page through a mapping of its
  /// own. Threads do not take turns: a page is added once, whichever is first.
  private func copy(
    _ bytes: RawSpan, _ runs: [Range<Int>], at offset: UInt64, _ page: UInt64
  ) throws(Errno) {
    var done = 0
    while done < bytes.byteCount {
      let position = offset + UInt64(done)
      let start = position / page * page
      let part = done..<done + min(bytes.byteCount - done, Int(start + page - position))
      done = part.upperBound
      guard runs.contains(where: { $0.overlaps(part) }) else { continue }
      let range = try HostRange.shared(
        page, file: file.descriptor, offset: start, advice: .noDump)
      defer { range.unmap() }
      try range.protect(0..<page, .readWrite)
      try range.populate(0..<page, .readWrite)
      // SAFETY: the page is mapped, resident and writable, and the bytes end within it. Only the
      // process that seals a template has the file, so none truncates it.
      unsafe bytes.extracting(part).withUnsafeBytes { source in
        guard let base = source.baseAddress else { return }
        unsafe range.pointer(at: ByteCount(position - start))
          .copyMemory(from: base, byteCount: source.count)
      }
    }
  }

  /// Waits until the file is on its disk. The corresponding C function is `fsync`.
  package func flush() throws(Errno) {
    guard fsync(file.descriptor) == 0 else { throw Errno(rawValue: errno) }
  }
}
