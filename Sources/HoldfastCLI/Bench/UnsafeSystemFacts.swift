internal import Glibc

/// What a report says of when and where it was made.
enum SystemFacts {
  /// The kernel's release, or nil. The corresponding C function is `uname`.
  static var kernel: String? {
    var names = utsname()
    // SAFETY: `names` is a whole utsname and lives through the calls, and the release in it ends with
    // a zero byte.
    guard unsafe uname(&names) == 0 else { return nil }
    return unsafe withUnsafePointer(to: &names.release) { release in
      unsafe release.withMemoryRebound(to: CChar.self, capacity: 65) { unsafe String(cString: $0) }
    }
  }

  /// The date and the time in UTC, such as `2026-01-31 23:59 UTC`; nil if the clock cannot be read.
  static var date: String? {
    var now = time(nil)
    var parts = unsafe tm()
    // SAFETY: both live through the call.
    guard unsafe gmtime_r(&now, &parts) != nil else { return nil }
    func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + "\(number)" }
    // SAFETY: the fields that are read are numbers.
    let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
    let (hour, minute) = unsafe (parts.tm_hour, parts.tm_min)
    return "\(year)-\(two(month))-\(two(day)) \(two(hour)):\(two(minute)) UTC"
  }
}
