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
/// Several threads may write to different ranges at once.
package final class ImageFile: Sendable {
  private let folder: Folder
  private let name: String
  private let file: OpenFile
  /// The temporary name, or nil if the file has none.
  private let temporary: String?

  /// The unit, in bytes, in which zeros are found and left out.
  package static let block = 4096

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
  /// byte. The corresponding C function is `pwrite`.
  ///
  /// - Returns: the number of bytes written.
  package func write(_ bytes: RawSpan, at offset: ByteCount) throws(Errno) -> ByteCount {
    var written: UInt64 = 0
    var start = 0
    while start < bytes.byteCount {
      let isZero = Self.isZero(bytes, start)
      var end = min(start + Self.block, bytes.byteCount)
      while end < bytes.byteCount, Self.isZero(bytes, end) == isZero {
        end = min(end + Self.block, bytes.byteCount)
      }
      if !isZero {
        try writeAll(bytes.extracting(start..<end), at: offset.rawValue + UInt64(start))
        written += UInt64(end - start)
      }
      start = end
    }
    return ByteCount(written)
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
