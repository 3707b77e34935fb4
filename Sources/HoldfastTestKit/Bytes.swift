internal import Glibc

/// Comparisons of many bytes. Those of the standard library take seconds for a guest's memory in a
/// debug build, as they go byte by byte through unspecialized code.
extension [UInt8] {
  /// Whether all bytes are zero.
  public var isZero: Bool {
    // SAFETY: both pointers are within the buffer for count - 1 bytes.
    unsafe withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress else { return true }
      return unsafe buffer[0] == 0 && memcmp(start, start + 1, buffer.count - 1) == 0
    }
  }

  /// Whether the other bytes are the same.
  public func isSame(as other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    // SAFETY: both buffers have `count` bytes; memcmp of none reads nothing.
    return unsafe withUnsafeBytes { one in
      unsafe other.withUnsafeBytes { two in
        guard let one = one.baseAddress, let two = two.baseAddress else {
          return true
        }
        return unsafe memcmp(one, two, other.count) == 0
      }
    }
  }
}
