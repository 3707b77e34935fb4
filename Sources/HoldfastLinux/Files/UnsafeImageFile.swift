internal import CHoldfastLinux
internal import Glibc
package import HoldfastCore
package import SystemPackage

/// A new file that gets its name only when it is complete.
///
/// If the file system allows it (O_TMPFILE), the file has no name until then, so even a process
/// that is killed leaves nothing behind; otherwise it has a temporary name in the same folder,
/// which is removed with the object.
///
/// Several threads may write to different ranges at once. They take turns: the file systems' own
/// lock allows one thread at a time, and several that spin for it take the processors from those
/// that have other work, and four times as long (ext4 on two processors). The page cache takes the
/// bytes, and the disk begins with each piece at once instead of when the cache has to be written.
/// Together that is faster than one thread past the page cache (O_DIRECT), needs no alignment, and
/// works on every file system.
package final class ImageFile: Sendable {
  private let folder: Folder
  private let name: String
  private let file: OpenFile
  /// Held while a thread writes; a leaf.
  private let lock = Lock()
  /// The temporary name, or nil if the file has none.
  private let temporary: String?

  /// The unit, in bytes, in which zeros are found and left out.
  package static let block = 4096
  /// If a call writes so many bytes, the disk begins with them. Fewer wait for the kernel to join
  /// them with their neighbors.
  private static let leastToStart = 1 << 18

  /// Creates a file.
  ///
  /// - Parameters:
  ///   - name: the name for the complete file, one component.
  ///   - size: the size; the file is one hole at first.
  ///   - nameless: false to use a temporary name in any case, for tests.
  package init(
    in folder: Folder, name: String, size: ByteCount, nameless: Bool = true
  ) throws(Errno) {
    self.folder = folder
    self.name = name
    if nameless, let file = try folder.makeNamelessFile() {
      self.file = file
      temporary = nil
    } else {
      // Not derived from `name`, which may have the maximum length already.
      let temporary = ".holdfast-" + String(UInt64.random(in: 0 ... .max), radix: 36)
      file = try folder.makeFile(temporary)
      self.temporary = temporary
    }
    do throws(Errno) {
      try file.setPermissions(0o600)
      try file.setSize(size)
    } catch {
      if let temporary { try? folder.unlink(temporary) }
      throw error
    }
  }

  deinit {
    // After `finish` the name does not exist.
    if let temporary { try? folder.unlink(temporary) }
  }

  /// Writes bytes at an offset, except blocks that are zero; blocks are counted from the first
  /// byte. The corresponding C functions are `pwrite` and `sync_file_range`.
  ///
  /// Looks for zeros without a lock, and then takes the file's, so threads that prepare their bytes
  /// are not held up by one that writes. The disk begins at once with what was written.
  ///
  /// - Returns: the number of bytes written.
  package func write(_ bytes: RawSpan, at offset: ByteCount) throws(Errno) -> ByteCount {
    let runs = Self.runs(of: bytes)
    let written = runs.reduce(0) { $0 + $1.count }
    if written == 0 { return .zero }
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

  /// Writes the file to its disk, then gives it its name, in place of a file that has it. The
  /// corresponding C functions are `fsync`, `linkat` and `renameat`.
  package func finish() throws(Errno) {
    guard fsync(file.descriptor) == 0 else { throw Errno(rawValue: errno) }
    if let temporary {
      try folder.replace(name, by: temporary)
    } else {
      do throws(Errno) {
        try folder.link(file, name)
      } catch .fileExists {
        let temporary = ".holdfast-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        try folder.link(file, temporary)
        do throws(Errno) {
          try folder.replace(name, by: temporary)
        } catch {
          try? folder.unlink(temporary)
          throw error
        }
      } catch {
        throw error
      }
    }
    try folder.synchronize()
  }
}
