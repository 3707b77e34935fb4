internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
package import SystemPackage

/// An eventfd(2) with which one thread wakes another.
package final class Wakeup: Sendable {
  private let event: Int32

  /// The descriptor, readable after ``wake()`` until ``clear()``.
  package var descriptor: Int32 { event }

  package init() throws(Errno) {
    event = hf_event()
    guard event >= 0 else { throw Errno(rawValue: -event) }
  }

  deinit { close(event) }

  /// Ends the present wait, or else the next one.
  package func wake() {
    var one: UInt64 = 1
    // SAFETY: the number lives through the call.
    _ = unsafe write(event, &one, 8)
  }

  /// Waits until another thread calls ``wake()``, a descriptor is readable, or the time is over.
  ///
  /// - Returns: whether the descriptor is readable.
  package func wait(_ duration: Duration, or file: Int32 = -1) -> Bool {
    let milliseconds = duration.nanoseconds / 1_000_000
    let ready = hf_wait_readable(event, file, Int32(min(milliseconds + 1, 1 << 30)))
    if ready > 0, ready & 1 != 0 { clear() }
    return ready > 0 && ready & 2 != 0
  }

  /// Forgets the calls of ``wake()`` so far.
  package func clear() {
    var count: UInt64 = 0
    // SAFETY: the number lives through the call.
    _ = unsafe read(event, &count, 8)
  }
}
