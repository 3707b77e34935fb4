extension Duration {
  /// The duration as a number of seconds.
  package var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }

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
