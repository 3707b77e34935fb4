extension Duration {
  /// The duration with three significant digits in the unit that suits: `912 µs`, `1.32 s`.
  package var shortText: String {
    for (unit, scale) in [("µs", 1e6), ("ms", 1e3)] where seconds * scale < 999.5 {
      return Duration.significant(seconds * scale) + " " + unit
    }
    return Duration.significant(seconds) + " s"
  }

  private static func significant(_ value: Double) -> String {
    let places = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
    let scale: UInt64 = places == 2 ? 100 : places == 1 ? 10 : 1
    // A duration has at most 2^63 seconds, so 1e12 bounds the text, not the value of any use.
    let scaled = UInt64((max(0, min(value, 1e12)) * Double(scale)).rounded())
    guard places > 0 else { return "\(scaled)" }
    let fraction = "\(scaled % scale)"
    let zeros = String(repeating: "0", count: places - fraction.count)
    return "\(scaled / scale)." + zeros + fraction
  }
}

// Text that people type.

extension Duration {
  /// The longest time that can be typed, in days, unless the caller names another.
  package static let longestTyped = 10_000

  /// Reads a time as people type it, with one of the units s, m, h and d, or in seconds: `30`,
  /// `0.5`, `10m`, `2h`, `1.5d`. The resolution is a millisecond.
  ///
  /// - Parameters:
  ///   - requiresUnit: whether a number without a unit is an error.
  ///   - days: the longest time in days.
  package init(
    typed text: String, requiresUnit: Bool = false, atMost days: Int = longestTyped
  ) throws(Size.Problem) {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    let unit = text.last.flatMap { units[$0] }
    let digits = unit == nil ? text[...] : text.dropLast()
    guard unit != nil || !requiresUnit, let number = DecimalNumber(digits) else {
      let use =
        requiresUnit
        ? "use a number with s, m, h or d, such as 30m or 2d"
        : "use a number of seconds, or one with s, m, h or d, such as 30 or 10m"
      throw Size.Problem(description: "'\(text)' is not a time: \(use)")
    }
    let seconds = number.double() * (unit ?? 1)
    guard seconds <= Double(days) * 86_400 else {
      throw Size.Problem(description: "'\(text)' is too long: use at most \(days)d")
    }
    self = .milliseconds(Int64((seconds * 1000).rounded()))
  }
}
