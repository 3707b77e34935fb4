internal import Glibc

/// The time of the day in the user's time zone.
enum LocalTime {
  /// The seconds since 1970.
  static var now: Double {
    var time = timespec()
    // SAFETY: `time` is a whole timespec and lives through the call.
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// The present hour, minute and second: `14:03:07`.
  static var clock: String {
    var seconds = time_t(now)
    var parts = unsafe tm()
    // SAFETY: both live through the call.
    guard unsafe localtime_r(&seconds, &parts) != nil else { return "" }
    let numbers = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec]
    return numbers.map { ($0 < 10 ? "0" : "") + "\($0)" }
      .joined(separator: ":")
  }
}
