internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
package import SystemPackage

extension OpenFile {
  /// Makes bytes the whole contents of an empty file; on hugetlbfs zeros fill its last page. The
  /// corresponding C functions are `pwrite` and, on hugetlbfs, which has no such call, `mmap`.
  ///
  /// The pages of a hugetlbfs are populated before they are written to, so a shortage is an error.
  package func fill(with bytes: [UInt8]) throws(Errno) {
    let system = try fileSystem()
    if bytes.isEmpty { return }
    guard system.kind == .hugetlbfs else { return try write(bytes) }
    guard let size = ByteCount(UInt64(bytes.count)).roundedUp(to: system.pageSize) else {
      throw .fileTooLarge
    }
    try setSize(size)
    let range = try HostRange.reserve(size, alignment: system.pageSize)
    defer { range.unmap() }
    let whole = 0..<size.rawValue
    try range.map(whole, .readWrite, file: descriptor, offset: 0, advice: .noDump)
    try range.populate(whole, .readWrite)
    // SAFETY: the range is mapped, writable and at least as long as the bytes, which live through
    // the call.
    unsafe bytes.withUnsafeBytes { source in
      unsafe range.pointer(at: .zero).copyMemory(from: source.baseAddress!, byteCount: bytes.count)
    }
  }

  private func write(_ bytes: [UInt8]) throws(Errno) {
    var done = 0
    while done < bytes.count {
      // SAFETY: so many bytes of the array begin there, and live through the call.
      let count = unsafe bytes.withUnsafeBytes { source in
        unsafe hf_write_at(
          descriptor, source.baseAddress! + done, bytes.count - done, UInt64(done))
      }
      if count < 0 { throw Errno(rawValue: Int32(clamping: -count)) }
      if count == 0 { throw .noSpace }
      done += Int(count)
    }
  }

  /// Reads bytes from an offset, fewer than wanted only where the file ends. The corresponding C
  /// function is `pread`.
  package func bytes(at offset: UInt64 = 0, count: Int) throws(Errno) -> [UInt8] {
    // An array of a size from outside would end the process where memory is short.
    guard count <= 1 << 30 else { throw .fileTooLarge }
    var bytes = [UInt8](repeating: 0, count: max(0, count))
    var done = 0
    while done < bytes.count {
      // SAFETY: so many bytes of the array begin there, and live through the call.
      let found = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe hf_read_at(
          descriptor, buffer.baseAddress! + done, buffer.count - done, offset + UInt64(done))
      }
      if found < 0 { throw Errno(rawValue: Int32(clamping: -found)) }
      if found == 0 { break }
      done += Int(found)
    }
    bytes.removeLast(bytes.count - done)
    return bytes
  }

  /// The ranges of a part of the file that are not in holes, in ascending order; all of the part if
  /// the file system does not report holes. The corresponding C function is `lseek`, with SEEK_DATA
  /// and SEEK_HOLE.
  ///
  /// - Complexity: O(ranges), on tmpfs O(pages).
  package func dataRanges(of part: Range<UInt64>) -> [Range<UInt64>] {
    var found: [Range<UInt64>] = []
    var position = part.lowerBound
    while position < part.upperBound {
      let start = hf_seek(descriptor, position, 0)
      // Only a hole is left.
      if start == -Int64(ENXIO) { break }
      let end = start < 0 ? -1 : hf_seek(descriptor, UInt64(start), 1)
      // If the file became shorter meanwhile, reading reports that.
      guard end > start, start >= Int64(position) else { return [part] }
      if UInt64(start) >= part.upperBound { break }
      found.append(UInt64(start)..<min(UInt64(end), part.upperBound))
      position = UInt64(end)
    }
    return found
  }
}
