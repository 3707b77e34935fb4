internal import HoldfastStatistics

// Parts that the reports of benchmarks share.

/// ministat's plot and table of times in milliseconds, the baseline first; nil if there are too
/// few. Relative errors are those of today's ministat, which takes the spread of both samples into
/// account.
func ministatBox(_ samples: [(label: String, seconds: [Double])]) -> String? {
  guard samples.allSatisfy({ $0.seconds.count >= SampleMoments.minimumCount }) else {
    return "ministat needs at least \(SampleMoments.minimumCount) runs."
  }
  var options = MinistatReport.Options()
  options.relativeError = .propagated
  let samples = samples.map { label, seconds in
    MinistatReport.Sample(label: "\(label) (milliseconds)", values: seconds.map { $0 * 1000 })
  }
  guard let text = (try? MinistatReport(samples, options: options))?.text else { return nil }
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

/// The comparison of two samples of seconds; nil if there are too few. Relative errors are those of
/// today's ministat, which takes the spread of both samples into account.
func comparison(baseline: [Double], candidate: [Double]) -> Comparison? {
  guard let baseline = try? SampleSummary(baseline), let candidate = try? SampleSummary(candidate)
  else { return nil }
  return Comparison(baseline: baseline, candidate: candidate, relativeError: .propagated)
}

/// The JSON of a comparison: the ratio of the runs' pairs, and in seconds and percent what
/// ministat(1) computes, or null with fewer than three runs.
struct ComparisonResult: Encodable {
  var baseline: String?
  var candidate: String?
  private let ratio: PairedRatio?
  private let comparison: Comparison?

  /// - Parameters:
  ///   - baseline: the seconds of the runs.
  ///   - candidate: those of the same runs.
  init(baseline: [Double], candidate: [Double]) {
    ratio = PairedRatio(baseline: baseline, candidate: candidate)
    comparison = HoldfastBench.comparison(baseline: baseline, candidate: candidate)
  }

  private enum Key: String, CodingKey {
    case baseline, candidate, ratio, ratioSmallest, ratioLargest, speedPercent
    case difference, differenceError, relativePercent, relativeError, pooledDeviation
  }

  func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(baseline, forKey: .baseline)
    try object.encode(candidate, forKey: .candidate)
    try object.encode(ratio?.median, forKey: .ratio)
    try object.encode(ratio?.smallest, forKey: .ratioSmallest)
    try object.encode(ratio?.largest, forKey: .ratioLargest)
    try object.encode(ratio.map { 100 / $0.median }, forKey: .speedPercent)
    try object.encode(comparison?.difference, forKey: .difference)
    try object.encode(comparison?.errorBound, forKey: .differenceError)
    try object.encode(comparison?.relativePercent, forKey: .relativePercent)
    try object.encode(comparison?.relativeErrorPercent, forKey: .relativeError)
    try object.encode(comparison?.pooledStandardDeviation, forKey: .pooledDeviation)
  }
}

/// Rows with as many cells as the first one, in columns: the first left-aligned, the others
/// right-aligned.
func aligned(_ rows: [[String]]) -> String {
  let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  return rows.map { row in
    zip(row, widths).enumerated().map { column, cell in
      let padding = String(repeating: " ", count: cell.1 - cell.0.count)
      return column == 0 ? cell.0 + padding : padding + cell.0
    }.joined(separator: "  ")
  }.joined(separator: "\n")
}

/// A count with its noun: `1 run`, `3 runs`.
func counted(_ count: Int, _ noun: String) -> String {
  "\(count) \(noun)" + (count == 1 ? "" : "s")
}

/// The median: the middle value, or the upper one of the two in the middle, as in ministat's box;
/// nil without values.
func median(_ values: [Double]) -> Double? {
  values.isEmpty ? nil : values.sorted()[values.count / 2]
}

/// A time in the unit that leaves one to three digits before the decimal point.
func time(_ seconds: Double) -> String {
  for (scale, unit) in [(1.0, "s"), (1e-3, "ms"), (1e-6, "us")]
  where seconds >= scale * 0.9995 {
    return number(seconds / scale) + " " + unit
  }
  return number(seconds * 1e9) + " ns"
}

/// A number with three significant digits, or more before the decimal point.
func number(_ value: Double) -> String {
  guard value.isFinite else { return "-" }
  let decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  let scale = [1.0, 10, 100][decimals]
  let rounded = (value * scale).rounded()
  guard rounded < 1e15 else { return "\(value)" }
  let whole = Int64(rounded)
  let digits = String(whole % Int64(scale))
  if decimals == 0 { return String(whole) }
  let zeros = String(repeating: "0", count: decimals - digits.count)
  return "\(whole / Int64(scale)).\(zeros)\(digits)"
}
