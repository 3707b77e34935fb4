internal import CHoldfastLinux
internal import Glibc
package import SystemPackage

/// Reads the names in a folder, in the kernel's order, as far as the caller asks for them. The
/// corresponding C functions are `fdopendir` and `readdir`.
///
/// A name that is created or removed meanwhile may be read or not; all others are read once.
@safe package final class FolderReader {
  private let stream: OpaquePointer
  /// The number of names that may still be read.
  private var left: Int

  /// Opens a folder for reading names.
  ///
  /// - Parameter limit: the largest number of names to read, also of those that the caller does not
  ///   want.
  package init(_ folder: Folder, atMost limit: Int = .max) throws(Errno) {
    // A descriptor of its own: threads would share the read position, which belongs to the open
    // file.
    let copy = try folder.openAgain()
    // SAFETY: the stream owns the descriptor from here on. It is closed once, by `deinit`.
    guard let stream = unsafe fdopendir(copy) else {
      let problem = Errno(rawValue: errno)
      _ = hf_close(copy)
      throw problem
    }
    unsafe self.stream = stream
    left = limit
  }

  deinit { unsafe closedir(stream) }

  /// Whether as many names were read as the limit allows, so that there may be more.
  package var isCutShort: Bool { left <= 0 }

  /// The next names, at most `count`; none at the end or at the reader's limit.
  ///
  /// - Parameter isWanted: tells by its bytes whether a name counts. Others are skipped, at the
  ///   price of reading them.
  package func next(
    _ count: Int, where isWanted: (Span<UInt8>) -> Bool = { _ in true }
  ) -> [String] {
    var names: [String] = []
    while names.count < count, let name = read(isWanted) { names.append(name) }
    return names
  }

  private func read(_ isWanted: (Span<UInt8>) -> Bool) -> String? {
    while left > 0 {
      // SAFETY: the stream is open, and this object's only caller at a time; an entry is used
      // before the next readdir(3), and `d_name` ends in a zero byte.
      guard let entry = unsafe readdir(stream) else { return nil }
      let name: String? = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        let count = unsafe strnlen(bytes.baseAddress!, bytes.count)
        let name = unsafe Span<UInt8>(
          _unsafeBytes: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        if count <= 2, unsafe bytes[0] == UInt8(ascii: "."),
          unsafe count == 1 || bytes[1] == UInt8(ascii: ".")
        {
          return nil
        }
        left -= 1
        guard isWanted(name) else { return nil }
        return unsafe String(decoding: bytes[..<count], as: UTF8.self)
      }
      if let name { return name }
    }
    return nil
  }
}
