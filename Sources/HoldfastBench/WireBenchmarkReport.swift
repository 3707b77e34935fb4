internal import HoldfastCore
internal import HoldfastLinux
public import HoldfastStatistics

/// What `holdfast bench wire` prints of its measurements.
public struct WireBenchmarkReport: Sendable {
  private let result: WireBenchmark.Result

  public init(_ result: WireBenchmark.Result) {
    self.result = result
  }

  /// The statistics of those pairs of `WireStrategy.comparisons` that were both measured often
  /// enough, the difference being candidate less baseline, in seconds. Relative errors are those of
  /// today's ministat, which takes the spread of both samples into account.
  public var comparisons:
    [(baseline: WireStrategy, candidate: WireStrategy, comparison: Comparison)]
  {
    WireStrategy.comparisons.compactMap { pair in
      guard let baseline = try? result[pair.baseline].map({ try SampleSummary($0.seconds) }),
        let candidate = try? result[pair.candidate].map({ try SampleSummary($0.seconds) })
      else { return nil }
      let comparison = Comparison(
        baseline: baseline, candidate: candidate, relativeError: .propagated)
      return (pair.baseline, pair.candidate, comparison)
    }
  }

  /// The review's form first: ministat's plot and table of the two ways, in milliseconds; then all
  /// strategies' medians with their ratios.
  public var text: String {
    var parts = [heading]
    if let ministat { parts.append(ministat) }
    parts.append(table)
    let ratios = ratioLines
    if !ratios.isEmpty { parts.append(ratios.joined(separator: "\n")) }
    let problems = result.measurements.compactMap { measurement in
      measurement.problem.map { "not measured: \(measurement.strategy.rawValue): \($0)" }
    }
    let notes = problems + result.fallbacks.map { "passed over: \($0)" }
    if !notes.isEmpty { parts.append(notes.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var heading: String {
    let threads = result.threads == 1 ? "1 thread" : "\(result.threads) threads"
    let runs = result.runs == 1 ? "1 run" : "\(result.runs) runs"
    return
      "Wiring \(result.memory) (\(result.backing.rawValue)), \(runs) after a warm-up, \(threads)"
  }

  private var ministat: String? {
    guard let prefault = result[.prefault], let fault = result[.fault] else { return nil }
    guard result.runs >= SampleMoments.minimumCount else {
      return "ministat wants at least \(SampleMoments.minimumCount) runs."
    }
    return ministatBox([("prefault", prefault.seconds), ("fault", fault.seconds)])
  }

  private var table: String {
    let floor = result[.remap]?.median
    var rows = [["strategy", "median", "per 2 MiB", "GiB/s", "x remap"]]
    for measurement in result.measurements {
      guard let median = measurement.median else { continue }
      rows.append([
        measurement.strategy.rawValue, Self.time(median),
        Self.time(median / (Double(result.memory.rawValue) / Double(1 << 21))),
        Self.number(Double(result.memory.rawValue) / Double(1 << 30) / median),
        floor.map { Self.number(median / $0) } ?? "-",
      ])
    }
    if let arena = median(result.arenaSeconds) {
      rows.append([
        "(arena)", Self.time(arena),
        Self.time(arena / (Double(result.memory.rawValue) / 2_097_152)),
        Self.number(Double(result.memory.rawValue) / Double(1 << 30) / arena),
        floor.map { Self.number(arena / $0) } ?? "-",
      ])
    }
    return aligned(rows)
      + "\n(arena) is the preparation of the memory, once, before any guest."
  }

  private var ratioLines: [String] {
    WireStrategy.comparisons.compactMap { pair in
      guard let baseline = result[pair.baseline]?.median,
        let candidate = result[pair.candidate]?.median, baseline > 0, candidate > 0
      else { return nil }
      let slower = candidate >= baseline
      if pair.baseline == .memset {
        return "\(pair.candidate.rawValue) zeroes and wires at "
          + "\(Self.number(100 * baseline / candidate)) % of the speed of "
          + pair.baseline.rawValue
      }
      let ratio = slower ? candidate / baseline : baseline / candidate
      return "\(pair.candidate.rawValue) takes \(Self.number(ratio)) times "
        + (slower
          ? "as long as \(pair.baseline.rawValue)" : "less time than \(pair.baseline.rawValue)")
    }
  }

  /// A time in the unit that leaves one to three digits before the point.
  static func time(_ seconds: Double) -> String {
    for (scale, unit) in [(1.0, "s"), (1e-3, "ms"), (1e-6, "us")]
    where seconds >= scale * 0.9995 {
      return number(seconds / scale) + " " + unit
    }
    return number(seconds * 1e9) + " ns"
  }

  /// A number with three significant digits, or all before the point.
  static func number(_ value: Double) -> String {
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
}

extension WireBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, runs, backing, threads, arenaSeconds, results, comparisons, fallbacks
    case strategy, seconds, median, problem
    case baseline, candidate, speedPercent, difference, differenceError, relativePercent
    case relativeError, pooledDeviation
  }

  /// The JSON of `bench wire`; `arenaSeconds` is the median, `speedPercent` the baseline's median over
  /// the candidate's.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.memory.rawValue, forKey: .memoryBytes)
    try object.encode(result.runs, forKey: .runs)
    try object.encode(result.backing.rawValue, forKey: .backing)
    try object.encode(result.threads, forKey: .threads)
    try object.encode(median(result.arenaSeconds), forKey: .arenaSeconds)
    try object.encode(result.fallbacks, forKey: .fallbacks)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for measurement in result.measurements {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(measurement.strategy.rawValue, forKey: .strategy)
      try entry.encode(measurement.seconds, forKey: .seconds)
      try entry.encode(measurement.median, forKey: .median)
      try entry.encodeIfPresent(measurement.problem, forKey: .problem)
    }
    var list = object.nestedUnkeyedContainer(forKey: .comparisons)
    for (baseline, candidate, comparison) in comparisons {
      var entry = list.nestedContainer(keyedBy: Key.self)
      try entry.encode(baseline.rawValue, forKey: .baseline)
      try entry.encode(candidate.rawValue, forKey: .candidate)
      if let first = result[baseline]?.median, let second = result[candidate]?.median {
        try entry.encode(100 * first / second, forKey: .speedPercent)
      }
      try entry.encode(comparison.difference, forKey: .difference)
      try entry.encode(comparison.errorBound, forKey: .differenceError)
      try entry.encode(comparison.relativePercent, forKey: .relativePercent)
      try entry.encode(comparison.relativeErrorPercent, forKey: .relativeError)
      try entry.encode(comparison.pooledStandardDeviation, forKey: .pooledDeviation)
    }
  }
}
