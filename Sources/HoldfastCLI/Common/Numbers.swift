internal import HoldfastCore

// Numbers for people. FoundationEssentials has no formats for them, and the rest of Foundation is
// large to link statically.

/// Reads a whole number within bounds, or throws why it is none.
func wholeNumber(_ text: String, in range: ClosedRange<Int>) throws -> Int {
  guard let number = Int(text), range.contains(number) else {
    throw Size.Problem(
      description: "a number from \(range.lowerBound) to \(range.upperBound) is needed")
  }
  return number
}

/// A count with its thousands apart: `5,120`.
func grouped(_ count: UInt64) -> String {
  let digits = Array("\(count)")
  var text = ""
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index).isMultiple(of: 3) { text.append(",") }
    text.append(digit)
  }
  return text
}

/// A number that is not negative with a set number of decimals, rounded: `0.91`.
func decimal(_ value: Double, places: Int) -> String {
  var scale: UInt64 = 1
  for _ in 0..<places { scale *= 10 }
  let scaled = UInt64((max(0, min(value, 1e12)) * Double(scale)).rounded())
  guard places > 0 else { return "\(scaled)" }
  let fraction = "\(scaled % scale)"
  return "\(scaled / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
}

/// A time with three digits that mean something, in the unit that suits: `912 µs`, `1.32 s`.
func formatted(_ duration: Duration) -> String {
  let seconds = duration.seconds
  for (unit, scale) in [("µs", 1e6), ("ms", 1e3)] where seconds * scale < 999.5 {
    return significant(seconds * scale) + " " + unit
  }
  return significant(seconds) + " s"
}

private func significant(_ value: Double) -> String {
  decimal(value, places: value < 9.995 ? 2 : value < 99.95 ? 1 : 0)
}

/// How fast bytes came: `9.1 GiB/s`.
func rate(_ bytes: ByteCount, in duration: Duration) -> String {
  let seconds = duration.seconds
  guard seconds > 0 else { return "-" }
  let mebibytes = Double(bytes.rawValue) / seconds / 1_048_576
  return mebibytes < 1024
    ? decimal(mebibytes, places: 0) + " MiB/s" : decimal(mebibytes / 1024, places: 1) + " GiB/s"
}

extension Duration {
  /// As a number of seconds.
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }
}
