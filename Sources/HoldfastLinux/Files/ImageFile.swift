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
  private let writer: ImageWriter
  /// The temporary name, or nil if the file has none.
  private let temporary: String?

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
      let temporary = ".holdfast-" + String(RandomID.number(), radix: 36)
      file = try folder.makeFile(temporary)
      self.temporary = temporary
    }
    writer = ImageWriter(file)
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
  /// byte. See `ImageWriter`.
  ///
  /// - Returns: the number of bytes written.
  package func write(_ bytes: RawSpan, at offset: ByteCount) throws(Errno) -> ByteCount {
    try writer.write(bytes, at: offset)
  }

  /// Writes the file to its disk, then gives it its name, in place of a file that has it. The
  /// corresponding C functions are `fsync`, `linkat` and `renameat`.
  package func finish() throws(Errno) {
    try writer.flush()
    if let temporary {
      try folder.replace(name, by: temporary)
    } else {
      do throws(Errno) {
        try folder.link(file, name)
      } catch .fileExists {
        let temporary = ".holdfast-" + String(RandomID.number(), radix: 36)
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
