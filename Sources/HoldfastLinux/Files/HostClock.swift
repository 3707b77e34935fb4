internal import CHoldfastLinux

/// The time in seconds, by the clock that can be set and by the one that cannot.
package struct HostClock: Hashable, Sendable {
  /// Since 1970 (CLOCK_REALTIME): jumps when the clock is set.
  package let real: Int64
  /// Since the boot, suspensions included (CLOCK_BOOTTIME).
  package let boot: Int64

  /// A time, for tests.
  package init(real: Int64, boot: Int64) {
    self.real = real
    self.boot = boot
  }

  /// The present time. The corresponding C function is `clock_gettime`.
  package static var now: HostClock { HostClock(real: hf_seconds(0), boot: hf_seconds(1)) }
}
