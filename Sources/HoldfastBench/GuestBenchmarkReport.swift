internal import HoldfastCore
internal import HoldfastLinux
public import HoldfastStatistics

/// What `holdfast bench guest` prints.
public struct GuestBenchmarkReport: Sendable {
  private let result: GuestBenchmark.Result

  public init(_ result: GuestBenchmark.Result) {
    self.result = result
  }

  /// The fault path less prefault, in seconds; nil with too few runs.
  public var comparison: Comparison? {
    let samples = GuestBenchmark.Path.allCases.compactMap { path in
      try? result.measurements.first { $0.path == path }.map { try SampleSummary($0.seconds) }
    }
    guard samples.count == 2 else { return nil }
    return Comparison(baseline: samples[0], candidate: samples[1], relativeError: .propagated)
  }

  public var text: String {
    let runs = result.runs == 1 ? "1 run" : "\(result.runs) runs"
    var parts = [
      "Mapping and wiring a guest of \(result.memory) (\(result.backing.rawValue)), \(runs) after a "
        + "warm-up"
    ]
    if result.runs < SampleMoments.minimumCount {
      parts.append("ministat wants at least \(SampleMoments.minimumCount) runs.")
    } else if let ministat = ministatBox(
      result.measurements.map { ($0.path.rawValue, $0.seconds) })
    {
      parts.append(ministat)
    }
    parts.append(table)
    if let ratio {
      parts.append("fault takes \(WireBenchmarkReport.number(ratio)) times as long as prefault")
    }
    let notes =
      (result.machineProblem.map { ["without a virtual machine: \($0)"] } ?? [])
      + result.fallbacks.map { "passed over: \($0)" }
    if !notes.isEmpty { parts.append(notes.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var ratio: Double? {
    let medians = result.measurements.compactMap(\.median)
    guard medians.count == 2, medians[0] > 0 else { return nil }
    return medians[1] / medians[0]
  }

  private var table: String {
    let large = Double(result.memory.rawValue) / Double(1 << 21)
    var rows = [["path", "median", "per 2 MiB"]]
    func add(_ name: String, _ seconds: Double?) {
      guard let seconds else { return }
      rows.append([
        name, WireBenchmarkReport.time(seconds), WireBenchmarkReport.time(seconds / large),
      ])
    }
    for measurement in result.measurements { add(measurement.path.rawValue, measurement.median) }
    add("(slots)", median(result.measurements.flatMap(\.slotSeconds)))
    add("(arena)", result.arenaSeconds)
    let slots = result.slots == 1 ? "one slot" : "\(result.slots) slots"
    return aligned(rows)
      + (result.slots == 0
        ? "" : "\n(slots) is what it takes before to give the window to KVM, in \(slots).")
      + "\n(arena) is the preparation of the memory, once, before any guest."
  }
}

extension GuestBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, runs, backing, threads, arenaSeconds, slots, machineProblem, results
    case comparison, fallbacks
    case path, seconds, median, slotSeconds
    case baseline, candidate, ratio, difference, differenceError, relativePercent, relativeError
    case pooledDeviation
  }

  /// The JSON of `bench guest`.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.memory.rawValue, forKey: .memoryBytes)
    try object.encode(result.runs, forKey: .runs)
    try object.encode(result.backing.rawValue, forKey: .backing)
    try object.encode(result.threads, forKey: .threads)
    try object.encode(result.arenaSeconds, forKey: .arenaSeconds)
    try object.encode(result.slots, forKey: .slots)
    try object.encodeIfPresent(result.machineProblem, forKey: .machineProblem)
    try object.encode(result.fallbacks, forKey: .fallbacks)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for measurement in result.measurements {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(measurement.path.rawValue, forKey: .path)
      try entry.encode(measurement.seconds, forKey: .seconds)
      try entry.encode(measurement.median, forKey: .median)
      try entry.encode(measurement.slotSeconds, forKey: .slotSeconds)
    }
    guard let comparison else { return }
    var entry = object.nestedContainer(keyedBy: Key.self, forKey: .comparison)
    try entry.encode("prefault", forKey: .baseline)
    try entry.encode("fault", forKey: .candidate)
    try entry.encodeIfPresent(ratio, forKey: .ratio)
    try entry.encode(comparison.difference, forKey: .difference)
    try entry.encode(comparison.errorBound, forKey: .differenceError)
    try entry.encode(comparison.relativePercent, forKey: .relativePercent)
    try entry.encode(comparison.relativeErrorPercent, forKey: .relativeError)
    try entry.encode(comparison.pooledStandardDeviation, forKey: .pooledDeviation)
  }
}
