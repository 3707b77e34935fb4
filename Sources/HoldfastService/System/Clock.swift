internal import CHoldfastLinux

/// The host's clocks as numbers.
enum Clock {
  /// The monotonic clock in nanoseconds. The corresponding C function is `clock_gettime`.
  static var monotonic: UInt64 { hf_clock(0) }

  /// The real-time clock in seconds since 1970.
  static var unix: Double { Double(hf_clock(1)) / 1e9 }

  /// The offset of the real-time clock from the monotonic one, which changes when the time is set,
  /// and while the host is suspended.
  static var offset: Double { unix - Double(monotonic) / 1e9 }
}
