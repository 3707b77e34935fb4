internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

/// The report that `holdfast bench wire` prints.
public struct WireBenchmarkReport: Sendable {
  private let result: WireBenchmark.Result

  /// Creates the report of a result.
  public init(_ result: WireBenchmark.Result) {
    self.result = result
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
    let bytes = Double(result.memory.rawValue)
    func row(_ name: String, _ median: Double, _ floor: (name: String, ratio: Double)?) -> [String]
    {
      [
        name, time(median), time(median / (bytes / Double(1 << 21))),
        number(bytes / Double(1 << 30) / median), floor?.name ?? "-",
        floor.map { number($0.ratio) } ?? "-",
      ]
    }
    var rows = [["strategy", "median", "per 2 MiB", "GiB/s", "floor", "x floor"]]
    for measurement in result.measurements {
      guard let median = measurement.median else { continue }
      let floor = measurement.strategy.floor(
        on: result.backing, isPlaced: result.placement == .direct)
      let ratio = floor.flatMap { floor in
        PairedRatio(baseline: result[floor]?.seconds ?? [], candidate: measurement.seconds)
          .map { (floor.rawValue, $0.median) }
      }
      rows.append(row(measurement.strategy.rawValue, median, ratio))
    }
    if let arena = median(result.arenaSeconds) { rows.append(row("(arena)", arena, nil)) }
    return aligned(rows)
      + "\nx floor is the median of the runs' ratios. prefault is in "
      + (result.placement == .direct ? "the arena's own mapping." : "a window.")
      + "\n(arena) is the preparation of the memory, once, before any guest."
  }

  private var ratioLines: [String] {
    result.comparisons.compactMap { baseline, candidate in
      let (floor, name) = (baseline.strategy.rawValue, candidate.strategy.rawValue)
      guard let ratio = PairedRatio(baseline: baseline.seconds, candidate: candidate.seconds) else {
        return nil
      }
      if baseline.strategy == .zero {
        let speed = ratio.inverted
        let spread =
          speed.smallest == speed.largest
          ? "" : " (\(number(100 * speed.smallest)) to \(number(100 * speed.largest)))"
        return "\(name) zeroes and wires at \(number(100 * speed.median)) % of the speed of "
          + floor + spread
      }
      return "\(name) takes " + ratio.text(than: floor)
    }
  }
}

extension WireBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, runs, backing, placement, threads, arenaSeconds, results, comparisons
    case fallbacks
    case strategy, seconds, median, problem
  }

  /// The JSON of `bench wire`; `arenaSeconds` is the median, `ratio` the median of the runs' ratios
  /// of the candidate's time to the baseline's, and `speedPercent` its inverse in percent.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.memory.rawValue, forKey: .memoryBytes)
    try object.encode(result.runs, forKey: .runs)
    try object.encode(result.backing.rawValue, forKey: .backing)
    try object.encode(result.placement, forKey: .placement)
    try object.encode(result.threads, forKey: .threads)
    try object.encode(median(result.arenaSeconds), forKey: .arenaSeconds)
    try object.encode(result.fallbacks, forKey: .fallbacks)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for measurement in result.measurements {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(measurement.strategy.rawValue, forKey: .strategy)
      try entry.encode(measurement.seconds, forKey: .seconds)
      try entry.encode(measurement.median, forKey: .median)
      try entry.encode(measurement.problem, forKey: .problem)
    }
    try object.encode(
      result.comparisons.map { baseline, candidate in
        var entry = ComparisonResult(baseline: baseline.seconds, candidate: candidate.seconds)
        entry.baseline = baseline.strategy.rawValue
        entry.candidate = candidate.strategy.rawValue
        return entry
      }, forKey: .comparisons)
  }
}
