internal import Glibc

/// What numbers measure, and how they are written.
package enum Quantity: Hashable, Sendable {
  /// Seconds: `10 us`, `1.5 ms`, `2 s`.
  case seconds
  /// Bytes, in powers of 1024: `256 MiB`.
  case bytes
  /// Bytes each second, in powers of 1024: `12 GiB/s`.
  case bytesPerSecond
  /// A number of things: `64`, `20 k`, `3 M`.
  case count
  /// Hundredths: `20 %`.
  case percent
  /// Times as much: `2x`.
  case factor
  /// Numbers without a unit; the axis' title names it.
  case plain

  /// Whether steps are powers of two.
  var isBinary: Bool { self == .bytes || self == .bytesPerSecond }

  /// A unit and its size.
  struct Unit: Hashable {
    var name: String
    var size: Double

    /// The name after a number.
    var suffix: String { name.isEmpty || name == "x" ? name : " " + name }
  }

  /// The units, smallest first.
  var units: [Unit] {
    switch self {
    case .seconds:
      [Unit(name: "ns", size: 1e-9), Unit(name: "us", size: 1e-6), Unit(name: "ms", size: 1e-3)]
        + [Unit(name: "s", size: 1)]
    case .bytes: Quantity.binary("")
    case .bytesPerSecond: Quantity.binary("/s")
    case .count:
      [Unit(name: "", size: 1), Unit(name: "k", size: 1e3), Unit(name: "M", size: 1e6)]
        + [Unit(name: "G", size: 1e9)]
    case .percent: [Unit(name: "%", size: 1)]
    case .factor: [Unit(name: "x", size: 1)]
    case .plain: [Unit(name: "", size: 1)]
    }
  }

  private static func binary(_ suffix: String) -> [Unit] {
    ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].enumerated().map {
      Unit(name: $1 + suffix, size: Double(sign: .plus, exponent: 10 * $0, significand: 1))
    }
  }

  /// The largest unit of which there is at least one; the smallest for less.
  func unit(for value: Double) -> Unit {
    let value = value.magnitude * 1.000_000_1
    // Counts are plain up to five digits.
    if self == .count, value < 1e4 { return units[0] }
    return units.last { $0.size <= value } ?? units[0]
  }

  /// A number with its unit: as many digits as it has, three at most after rounding, and all digits
  /// before the decimal point.
  ///
  /// - Complexity: O(1).
  package func text(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "none" : value < 0 ? "-infinite" : "infinite" }
    if value == 0 { return "0" + (self == .percent || self == .factor ? units[0].suffix : "") }
    var unit = unit(for: value)
    let rounded = Quantity.round(value / unit.size, digits: 3)
    // 999.9 us is 1 ms.
    unit = self.unit(for: rounded * unit.size)
    return Quantity.digits(Quantity.round(value / unit.size, digits: 3)) + unit.suffix
  }

  /// The labels of ticks at multiples of a step: all in one unit, with the decimals of the step.
  func labels(_ ticks: [Double], step: Double) -> [String] {
    let largest = ticks.reduce(0) { max($0, $1.magnitude) }
    let unit = unit(for: largest)
    // Fixed decimals would be nearly all zeros.
    if step / unit.size < 1e-3, largest < 900 * step { return ticks.map { text($0) } }
    let places = Quantity.places(step / unit.size)
    return ticks.map { tick in
      let text = Quantity.fixed(tick / unit.size, places: places)
      return tick == 0 && unit.name != "%" ? "0" : text + unit.suffix
    }
  }

  // MARK: Digits

  /// A number to so many significant digits.
  static func round(_ value: Double, digits: Int) -> Double {
    guard value != 0, value.isFinite else { return value }
    let exponent = digits - 1 - Int(floor(log10(value.magnitude)))
    guard (-300...300).contains(exponent) else { return value }
    let power = pow(10, Double(exponent.magnitude))
    let scaled = exponent < 0 ? value / power : value * power
    return exponent < 0 ? scaled.rounded() * power : scaled.rounded() / power
  }

  /// Three significant digits without zeros at the end; an exponent where there is no unit for it.
  private static func digits(_ value: Double) -> String {
    let magnitude = value.magnitude
    if magnitude >= 1e6 || magnitude < 1e-3 { return scientific(value) }
    // 100 s and more stay whole.
    let places = max(0, 2 - Int(floor(log10(magnitude * 1.000_000_1))))
    var text = fixed(value, places: places)
    if text.contains(".") {
      while text.hasSuffix("0") { text.removeLast() }
      if text.hasSuffix(".") { text.removeLast() }
    }
    return text
  }

  private static func scientific(_ value: Double) -> String {
    var exponent = Int(floor(log10(value.magnitude)))
    // In two steps: 10^-320 is not exact, and 10^310 is too large.
    func part(_ exponent: Int) -> Double {
      let half = exponent / 2
      return value.magnitude / pow(10, Double(half)) / pow(10, Double(exponent - half))
    }
    if fixed(part(exponent), places: 2).hasPrefix("10") { exponent += 1 }
    var text = fixed(part(exponent), places: 2)
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return (value < 0 ? "-" : "") + text + "e\(exponent)"
  }

  /// A number with a fixed number of decimals.
  package static func fixed(_ value: Double, places: Int = 1) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 1e15 else { return "\(value)" }
    let whole = UInt64(scaled)
    let sign = value < 0 && whole > 0 ? "-" : ""
    if places == 0 { return "\(sign)\(whole)" }
    let fraction = "\(whole % UInt64(scale))"
    return "\(sign)\(whole / UInt64(scale))."
      + String(repeating: "0", count: places - fraction.count) + fraction
  }

  /// The number of decimals that multiples of a step need.
  static func places(_ step: Double) -> Int {
    var places = 0
    var scaled = step
    while places < 6, (scaled - scaled.rounded()).magnitude > 1e-6 * scaled.magnitude {
      places += 1
      scaled *= 10
    }
    return places
  }
}
