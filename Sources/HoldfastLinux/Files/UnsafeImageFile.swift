internal import CHoldfastLinux
internal import Glibc
package import HoldfastCore
package import SystemPackage

/// A file that is written anew and has its name only once it is complete.
///
/// Where the file system allows it (O_TMPFILE) it has no name at all until then, so that nothing is left
/// behind even by a process that is killed; elsewhere it has a temporary one beside, which goes with the
/// object.
///
/// Writing at different places is safe from several threads.
package final class ImageFile: Sendable {
  private let folder: Folder
  private let name: String
  private let file: OpenFile
  /// Nil where the file has no name yet.
  private let temporary: String?

  /// What is looked at and left out at a time where it is zero.
  package static let block = 4096

  /// Begins a file.
  ///
  /// - Parameters:
  ///   - name: what it is to be called, one component.
  ///   - size: all of it a hole at first.
  ///   - nameless: false to give it a temporary name in any case, for tests.
  package init(
    in folder: Folder, name: String, size: ByteCount, nameless: Bool = true
  ) throws(Errno) {
    self.folder = folder
    self.name = name
    if nameless, let file = try folder.makeNamelessFile() {
      self.file = file
      temporary = nil
    } else {
      // Long names leave no room for more.
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
    // Once it has been renamed there is nothing of this name.
    if let temporary { try? folder.unlink(temporary) }
  }

  /// Writes bytes at a place, but for blocks that are zero, counted from the first byte.
  ///
  /// - Returns: how many bytes were written.
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

  /// Whether a block, or what is left of the bytes, is zero.
  private static func isZero(_ bytes: RawSpan, _ start: Int) -> Bool {
    let count = min(block, bytes.byteCount - start)
    // SAFETY: `count` bytes from `start` on are in the span. Every byte is the one before it, and the
    // first is zero.
    return unsafe bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress else { return true }
      let place = unsafe base + start
      return unsafe place.load(as: UInt8.self) == 0 && memcmp(place, place + 1, count - 1) == 0
    }
  }

  private func writeAll(_ bytes: RawSpan, at offset: UInt64) throws(Errno) {
    var done = 0
    while done < bytes.byteCount {
      // SAFETY: the rest of the bytes lives through the call.
      let count = unsafe bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else { return 0 }
        return unsafe pwrite(
          file.descriptor, base + done, buffer.count - done, off_t(offset) + off_t(done))
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw Errno(rawValue: errno)
      }
      // A short write that tells no reason is told it the next time, if there is one.
      guard count > 0 else { throw .ioError }
      done += count
    }
  }

  /// Sees to it that the file is on its disk, and then gives it its name, in place of what may have had
  /// it. The corresponding C functions are `fsync`, `linkat` and `renameat`.
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
