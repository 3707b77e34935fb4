internal import HoldfastCore
public import HoldfastStatistics

/// What `holdfast bench qemu` prints of its measurements.
public struct QEMUBenchmarkReport: Sendable {
  private let result: QEMUBenchmark.Result

  public init(_ result: QEMUBenchmark.Result) {
    self.result = result
  }

  /// The statistics of both ways, the difference being leased less preallocated, in seconds; nil for too
  /// few runs.
  public var comparison: Comparison? {
    guard let baseline = try? SampleSummary(result[.prealloc]),
      let candidate = try? SampleSummary(result[.leased])
    else { return nil }
    return Comparison(baseline: baseline, candidate: candidate, relativeError: .propagated)
  }

  /// How many times as long as on leased memory QEMU takes on memory of its own, by the medians.
  public var speedup: Double? { ratio(to: [.leased]) }

  /// The same where the recycling is counted as a part of the leased one's time.
  public var speedupWithRecycling: Double? { ratio(to: [.leased, .recycle]) }

  private func ratio(to parts: [QEMUBenchmark.Part]) -> Double? {
    let medians = parts.map { median(result[$0]) ?? 0 }.reduce(0, +)
    guard let prealloc = median(result[.prealloc]), medians > 0 else { return nil }
    return prealloc / medians
  }

  /// ministat's plot and table, in milliseconds; then the medians of all that was timed, and the ratios.
  public var text: String {
    var parts = [heading]
    if result.runs < SampleMoments.minimumCount {
      parts.append("ministat wants at least \(SampleMoments.minimumCount) runs.")
    } else if let box = ministatBox(
      [QEMUBenchmark.Part.prealloc, .leased].map { ($0.rawValue, result[$0]) })
    {
      parts.append(box)
    }
    parts.append(table)
    if let speedup, let speedupWithRecycling {
      parts.append(
        "leased takes \(WireBenchmarkReport.number(speedup)) times less time than prealloc, "
          + "\(WireBenchmarkReport.number(speedupWithRecycling)) times with the recycling")
    }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var heading: String {
    let runs = result.runs == 1 ? "1 run" : "\(result.runs) runs"
    let threads = result.threads == 1 ? "1 thread" : "\(result.threads) threads"
    return "QEMU with \(result.memory) from start to quit, \(runs) after a warm-up, \(threads), "
      + "huge pages of \(result.pageSize), \(result.accelerator)\n\(result.version)"
  }

  private var table: String {
    let rows = QEMUBenchmark.Part.allCases.compactMap { part -> [String]? in
      guard let median = median(result[part]) else { return nil }
      return [part.rawValue, WireBenchmarkReport.time(median), "  " + part.meaning]
    }
    // The words to the left, behind the numbers.
    let width = rows.map { $0[2].count }.max() ?? 0
    let padded = rows.map { row in
      [row[0], row[1], row[2] + String(repeating: " ", count: width - row[2].count)]
    }
    return aligned([["", "median", String(repeating: " ", count: width)]] + padded)
      .split(separator: "\n").map { line in
        String(line.reversed().drop { $0 == " " }.reversed())
      }.joined(separator: "\n")
  }
}

extension QEMUBenchmark.Part {
  /// What is timed.
  fileprivate var meaning: String {
    switch self {
    case .prealloc: "QEMU's start to its end, memory-backend-memfd with prealloc=on"
    case .leased: "the lease, QEMU's start to its end on the leased file"
    case .lease: "of that the lease"
    case .recycle: "scrubbing it afterwards, until it is ready again"
    case .fill: "bringing it in, once, before any guest"
    }
  }
}

extension QEMUBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, pageBytes, runs, threads, qemu, accelerator, results, comparison
    case part, seconds, median, speedup, speedupWithRecycling
    case difference, differenceError, relativePercent, relativeError, pooledDeviation
  }

  /// The JSON of `bench qemu`. The speedups are ratios of medians.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.memory.rawValue, forKey: .memoryBytes)
    try object.encode(result.pageSize.rawValue, forKey: .pageBytes)
    try object.encode(result.runs, forKey: .runs)
    try object.encode(result.threads, forKey: .threads)
    try object.encode(result.version, forKey: .qemu)
    try object.encode(result.accelerator, forKey: .accelerator)
    try object.encodeIfPresent(speedup, forKey: .speedup)
    try object.encodeIfPresent(speedupWithRecycling, forKey: .speedupWithRecycling)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for part in QEMUBenchmark.Part.allCases {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(part.rawValue, forKey: .part)
      try entry.encode(result[part], forKey: .seconds)
      try entry.encode(median(result[part]), forKey: .median)
    }
    guard let comparison else { return }
    var entry = object.nestedContainer(keyedBy: Key.self, forKey: .comparison)
    try entry.encode(comparison.difference, forKey: .difference)
    try entry.encode(comparison.errorBound, forKey: .differenceError)
    try entry.encode(comparison.relativePercent, forKey: .relativePercent)
    try entry.encode(comparison.relativeErrorPercent, forKey: .relativeError)
    try entry.encode(comparison.pooledStandardDeviation, forKey: .pooledDeviation)
  }
}
