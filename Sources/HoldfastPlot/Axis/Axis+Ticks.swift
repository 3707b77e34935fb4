internal import Glibc

// Ticks: at multiples of round steps, and at powers.

extension Axis {
  // MARK: Linear

  func linear(_ values: [Double], count: Int) -> Range {
    let given = low.flatMap { $0.isFinite ? $0 : nil }
    let least = min(values.min() ?? given ?? 0, given ?? 0)
    var most = values.max() ?? 0
    if let high, high.isFinite { most = max(most, high) }
    let start = given.map { min($0, least) } ?? min(0, least)
    most = max(most, start)
    let span = most - start
    let wanted = step.flatMap { $0.isFinite && $0 > 0 && span / $0 <= 100 ? $0 : nil }
    let step = wanted ?? Axis.step(span, ticks: count, binary: quantity.isBinary)
    // Ends that the caller does not give are at ticks.
    let bottom = start == given ? start : (start / step).rounded(.down) * step
    let top = most == high && most > bottom ? most : (most / step).rounded(.up) * step
    let end = top > bottom ? top : bottom + step
    var ticks: [Double] = []
    let first = (bottom / step - 1e-6).rounded(.up)
    // By index: a step may be too small to change a large number.
    for index in 0...200 {
      let tick = (first + Double(index)) * step
      if tick > end + step * 1e-6 { break }
      if ticks.last != tick { ticks.append(tick) }
    }
    let labels = quantity.labels(ticks, step: step)
    // Numbers that differ by less than the labels show have none in between.
    return Range(
      low: bottom, high: end > bottom ? end : bottom + max(1, bottom.magnitude),
      ticks: zip(ticks, labels).map { Tick(value: $0, label: $1) })
  }

  /// The smallest round step of which at most `ticks` make the range: 1, 2 or 5 times a power of
  /// ten, or a power of two.
  static func step(_ range: Double, ticks: Int, binary: Bool = false) -> Double {
    guard range.isFinite, range > smallest else { return 1 }
    let rough = range / Double(max(1, ticks))
    if binary { return max(smallest, exp2(ceil(log2(rough) - 1e-9))) }
    let power = pow(10, floor(log10(rough)))
    for factor in [1.0, 2, 5] where factor * power >= rough * 0.999_999 { return factor * power }
    return 10 * power
  }

  // MARK: Logarithmic

  private func ends(_ values: [Double]) -> (low: Double, high: Double)? {
    let given = [low, high].compactMap { $0 }.filter { $0 >= Axis.smallest && $0 <= Axis.limit }
    let all = values + given
    guard let least = all.min(), let most = all.max() else { return nil }
    return (least, most)
  }

  /// Labels at powers of ten, and lines at their multiples; in a short range, labels also at 2
  /// and 5 times the powers.
  func decimal(_ values: [Double], count: Int) -> Range {
    let (least, most) = ends(values) ?? (1, 10)
    var start = Axis.round(least, up: false)
    let end = Axis.round(most, up: true)
    // A single value is in the middle, not at an edge.
    if start == end { start /= 10 }
    let first = Int(floor(log10(start) + 1e-9))
    let last = Int(ceil(log10(end) - 1e-9))
    let short = log10(end / start) < 1.7
    let stride = max(1, (last - first + count - 1) / count)
    var ticks: [Tick] = []
    for exponent in first...last {
      for multiple in 1...9 {
        let value = Axis.power(multiple, exponent)
        guard value >= start * 0.999_999, value <= end * 1.000_001 else { continue }
        let isLabel =
          multiple == 1 ? (exponent - first) % stride == 0 : short && [2, 5].contains(multiple)
        // Lines between the powers are too close in a long range.
        guard isLabel || multiple == 1 || stride == 1 else { continue }
        ticks.append(Tick(value: value, label: isLabel ? quantity.text(value) : nil))
      }
    }
    return Range(low: start, high: end, isLogarithmic: true, ticks: ticks)
  }

  /// Labels at powers of two.
  func binary(_ values: [Double], count: Int) -> Range {
    let (least, most) = ends(values) ?? (1, 2)
    var first = Int(floor(log2(least) + 1e-9))
    var last = Int(ceil(log2(most) - 1e-9))
    // Half a step beside a single value is too little.
    if first >= last { (first, last) = (first - 1, first + 1) }
    var stride = max(1, (last - first + count - 1) / count)
    // From 1 GiB to 1 TiB in factors of 2, 4, 8, 32 or 1024, which have round labels.
    stride = [1, 2, 3, 5, 10].first { $0 >= stride } ?? (stride + 9) / 10 * 10
    let ticks = (first...last).compactMap { exponent -> Tick? in
      let value = exp2(Double(exponent))
      let isLabel = (exponent - first) % stride == 0
      guard isLabel || stride <= 5 else { return nil }
      return Tick(value: value, label: isLabel ? quantity.text(value) : nil)
    }
    return Range(
      low: exp2(Double(first)), high: exp2(Double(last)), isLogarithmic: true, ticks: ticks)
  }

  /// The next of 1, 2 and 5 times a power of ten, or the number if it is one.
  private static func round(_ value: Double, up: Bool) -> Double {
    let exponent = Int(floor(log10(value) + 1e-9))
    let all = [1, 2, 5].map { power($0, exponent) } + [power(1, exponent + 1)]
    return up
      ? all.first { $0 >= value * 0.999_999_9 } ?? all[3]
      : all.last { $0 <= value * 1.000_000_1 } ?? all[0]
  }

  /// A multiple of a power of ten: 5e-6 exactly as a program text has it, which 5 * 1e-6 is not.
  private static func power(_ multiple: Int, _ exponent: Int) -> Double {
    Double("\(multiple)e\(exponent)") ?? pow(10, Double(exponent)) * Double(multiple)
  }
}
