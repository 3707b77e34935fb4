internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

/// `/proc/self/pagemap`: whether each 4 KiB page is in the page tables and, with CAP_SYS_ADMIN, its
/// frame on the host.
struct PageMap {
  /// The entry of one page.
  struct Entry {
    let rawValue: UInt64

    /// Whether the page is in the page tables.
    var isPresent: Bool { rawValue & (1 << 63) != 0 }
    /// The host's frame, or nil if the kernel hides it (CAP_SYS_ADMIN is missing).
    var hostFrame: UInt64? {
      let frame = rawValue & ((1 << 55) - 1)
      return isPresent && frame != 0 ? frame : nil
    }
  }

  private let file: FileDescriptor

  /// Opens the file; nil if it may not be read.
  init?() {
    guard
      let file = try? unsafe FileDescriptor.open(
        "/proc/self/pagemap", .readOnly, options: .closeOnExec)
    else { return nil }
    self.file = file
  }

  /// Closes the file.
  func close() {
    try? file.close()
  }

  /// Reads the entries of `count` pages from an address.
  func entries(at address: UInt64, count: Int) throws(HoldfastError) -> [Entry] {
    var raw = [UInt64](repeating: 0, count: count)
    do {
      // SAFETY: the buffer is the whole of `raw`, which lives through the calls.
      try unsafe raw.withUnsafeMutableBytes { buffer in
        var done = 0
        while done < buffer.count {
          let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
          let read = try unsafe file.read(
            fromAbsoluteOffset: Int64(address >> 12) * 8 + Int64(done), into: part)
          if read == 0 { break }
          done += read
        }
      }
    } catch {
      throw PageMap.problem(error)
    }
    return raw.map(Entry.init)
  }

  private static func problem(_ error: any Error) -> HoldfastError {
    HoldfastError(
      .host, operation: "check the kernel's mappings", reason: "/proc/self/pagemap cannot be read",
      errno: (error as? Errno)?.rawValue)
  }
}
