internal import HoldfastCore
internal import HoldfastLinux
public import HoldfastStatistics

/// The report that `holdfast bench wire` prints.
public struct WireBenchmarkReport: Sendable {
  private let result: WireBenchmark.Result

  /// Creates the report of a result.
  public init(_ result: WireBenchmark.Result) {
    self.result = result
  }

  /// The pairs of `WireStrategy.comparisons` that were both measured often enough, compared in
  /// seconds.
  public var comparisons:
    [(baseline: WireStrategy, candidate: WireStrategy, comparison: Comparison)]
  {
    WireStrategy.comparisons.compactMap { pair in
      comparison(
        baseline: result[pair.baseline]?.seconds ?? [],
        candidate: result[pair.candidate]?.seconds ?? []
      ).map { (pair.baseline, pair.candidate, $0) }
    }
  }

  /// First the form of the FreeBSD review: ministat's plot and table of the two paths, in
  /// milliseconds; then the medians of all strategies with their ratios.
  public var text: String {
    var parts = [heading]
    if let ministat { parts.append(ministat) }
    parts.append(table)
    let ratios = ratioLines
    if !ratios.isEmpty { parts.append(ratios.joined(separator: "\n")) }
    let problems = result.measurements.compactMap { measurement in
      measurement.problem.map { "not measured: \(measurement.strategy.rawValue): \($0)" }
    }
    let notes = problems + result.fallbacks.map { "not used: \($0)" }
    if !notes.isEmpty { parts.append(notes.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var heading: String {
    let threads = counted(result.threads, "thread")
    let runs = counted(result.runs, "run")
    return
      "Wiring \(result.memory) (\(result.backing.rawValue)), \(runs) after a warm-up, \(threads)"
  }

  private var ministat: String? {
    guard let prefault = result[.prefault], let fault = result[.fault] else { return nil }
    return ministatBox([("prefault", prefault.seconds), ("fault", fault.seconds)])
  }

  private var table: String {
    let floor = result[.remap]?.median
    var rows = [["strategy", "median", "per 2 MiB", "GiB/s", "x remap"]]
    for measurement in result.measurements {
      guard let median = measurement.median else { continue }
      rows.append([
        measurement.strategy.rawValue, time(median),
        time(median / (Double(result.memory.rawValue) / Double(1 << 21))),
        number(Double(result.memory.rawValue) / Double(1 << 30) / median),
        floor.map { number(median / $0) } ?? "-",
      ])
    }
    if let arena = median(result.arenaSeconds) {
      rows.append([
        "(arena)", time(arena),
        time(arena / (Double(result.memory.rawValue) / 2_097_152)),
        number(Double(result.memory.rawValue) / Double(1 << 30) / arena),
        floor.map { number(arena / $0) } ?? "-",
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
          + "\(number(100 * baseline / candidate)) % of the speed of "
          + pair.baseline.rawValue
      }
      let ratio = slower ? candidate / baseline : baseline / candidate
      return "\(pair.candidate.rawValue) takes \(number(ratio)) times "
        + (slower
          ? "as long as \(pair.baseline.rawValue)" : "less time than \(pair.baseline.rawValue)")
    }
  }
}

extension WireBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, runs, backing, threads, arenaSeconds, results, comparisons, fallbacks
    case strategy, seconds, median, problem
  }

  /// The JSON of `bench wire`; `arenaSeconds` is the median, `speedPercent` the baseline's median
  /// over the candidate's.
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
    try object.encode(
      comparisons.map { baseline, candidate, comparison in
        var entry = ComparisonResult(comparison)
        entry.baseline = baseline.rawValue
        entry.candidate = candidate.rawValue
        if let first = result[baseline]?.median, let second = result[candidate]?.median {
          entry.speedPercent = 100 * first / second
        }
        return entry
      }, forKey: .comparisons)
  }
}
