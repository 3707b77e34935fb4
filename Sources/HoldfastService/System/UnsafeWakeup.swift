internal import CHoldfastLinux
internal import Glibc
internal import SystemPackage

/// A counter of the kernel's (eventfd(2)) by which one thread wakes another out of its wait.
final class Wakeup: Sendable {
  private let event: Int32

  init() throws(Errno) {
    event = hf_event()
    guard event >= 0 else { throw Errno(rawValue: -event) }
  }

  deinit { close(event) }

  /// Ends the wait at hand, or the next one.
  func wake() {
    var one: UInt64 = 1
    // SAFETY: the number lives through the call.
    _ = unsafe write(event, &one, 8)
  }

  /// Waits until it is woken, another descriptor can be read, or the time is over.
  ///
  /// - Returns: whether the other descriptor can be read.
  func wait(_ duration: Duration, or file: Int32 = -1) -> Bool {
    let (seconds, attoseconds) = duration.components
    let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
    let ready = hf_wait_readable(event, file, Int32(max(0, min(milliseconds + 1, 1 << 30))))
    if ready > 0, ready & 1 != 0 {
      var count: UInt64 = 0
      // SAFETY: the number lives through the call.
      _ = unsafe read(event, &count, 8)
    }
    return ready > 0 && ready & 2 != 0
  }
}
