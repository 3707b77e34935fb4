internal import Glibc

/// The places of an axis' values in a picture.
struct Scale {
  let range: Axis.Range
  /// The places of the axis' ends.
  let start: Double
  let end: Double

  /// The place of a value; that of the nearer end for one outside.
  func place(_ value: Double) -> Double {
    guard !value.isNaN else { return start }
    let inside = min(max(value, range.low), range.high)
    let share =
      range.isLogarithmic
      ? log(inside / range.low) / log(range.high / range.low)
      : (inside - range.low) / (range.high - range.low)
    return share.isFinite ? start + (end - start) * share : start
  }

  /// Whether the axis has the value.
  func contains(_ value: Double) -> Bool {
    let slack = range.isLogarithmic ? 0 : (range.high - range.low) * 1e-9
    return value >= range.low - slack && value <= range.high + slack
  }

  /// The labels of a horizontal axis that do not touch each other: every one, or every second,
  /// third and so on.
  static func spaced(_ ticks: [(place: Double, width: Double)], gap: Double) -> Int {
    guard ticks.count > 1 else { return 1 }
    for stride in 1..<ticks.count {
      var end = -Double.infinity
      var fits = true
      for tick in ticks.enumerated() where tick.offset % stride == 0 {
        let (place, width) = tick.element
        if place - width / 2 < end + gap { fits = false }
        end = place + width / 2
      }
      if fits { return stride }
    }
    return ticks.count
  }
}
