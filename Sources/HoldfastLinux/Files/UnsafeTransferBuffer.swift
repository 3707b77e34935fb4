package import HoldfastCore
package import SystemPackage

/// Memory through which a thread passes bytes to a file: resident, and of huge pages where the host
/// has them, so that a thread that uses it again and again never takes a page fault. It ends with
/// its last reference.
///
/// One thread uses it at a time.
package final class TransferBuffer: Sendable {
  private let range: HostRange

  /// Takes memory from the host. The corresponding C functions are `mmap` and `madvise`.
  ///
  /// - Throws: `noMemory` where the host has none.
  package init(_ length: ByteCount) throws(Errno) {
    range = try HostRange.scratch(length)
  }

  deinit { range.unmap() }

  /// The length in bytes.
  package var length: ByteCount { range.length }

  /// Calls `body` with the first bytes.
  ///
  /// - Precondition: the buffer has so many.
  package func withBytes<Result>(
    _ count: ByteCount, _ body: (inout MutableRawSpan) throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    precondition(count <= length, "more bytes than the buffer has")
    // SAFETY: the bytes are mapped for as long as the buffer lives, which is longer than the call,
    // and no other thread uses them.
    var span = unsafe MutableRawSpan(
      _unsafeStart: range.pointer(at: .zero), byteCount: Int(count.rawValue))
    return try body(&span)
  }
}
