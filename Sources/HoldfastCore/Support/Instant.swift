internal import Glibc

/// A moment of the host's clock since its boot, for durations and time limits.
///
/// The clock does not follow changes of the date, and goes on while the host is suspended
/// (`CLOCK_BOOTTIME`). It is the one of `ContinuousClock`, whose type would add the runtime of
/// Swift's concurrency and Dispatch to each program that holds the library.
package struct Instant: Hashable, Comparable, Sendable {
  /// The time since the boot.
  private let sinceBoot: Duration

  /// The present. A read of memory that the kernel shares (`clock_gettime` in the vDSO).
  package static var now: Instant {
    var time = timespec()
    // It cannot fail: all kernels that run Swift have this clock.
    _ = unsafe clock_gettime(CLOCK_BOOTTIME, &time)
    return Instant(sinceBoot: .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec))
  }

  /// The time since the boot in nanoseconds, for clocks that are a number.
  package var nanosecondsSinceBoot: UInt64 { sinceBoot.nanoseconds }

  package static func < (left: Instant, right: Instant) -> Bool {
    left.sinceBoot < right.sinceBoot
  }

  /// The time from one moment to a later one; negative for an earlier one.
  package static func - (end: Instant, start: Instant) -> Duration {
    end.sinceBoot - start.sinceBoot
  }

  /// The moment after a time.
  package static func + (start: Instant, duration: Duration) -> Instant {
    Instant(sinceBoot: start.sinceBoot + duration)
  }
}
