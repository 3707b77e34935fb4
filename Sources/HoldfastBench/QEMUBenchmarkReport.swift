internal import HoldfastCore
public import HoldfastStatistics

/// The report that `holdfast bench qemu` prints.
public struct QEMUBenchmarkReport: Sendable {
  private let result: QEMUBenchmark.Result

  /// Creates the report of a result.
  public init(_ result: QEMUBenchmark.Result) {
    self.result = result
  }

  /// The time on leased memory compared with the time on preallocated memory, in seconds; nil with
  /// too few runs.
  public var comparison: Comparison? {
    HoldfastBench.comparison(baseline: result[.prealloc], candidate: result[.leased])
  }

  /// The time on preallocated memory over the time on leased memory: the median of the runs' ratios.
  public var speedup: Double? { ratio(to: result[.leased])?.median }

  /// The same with the recycling counted as part of the time on leased memory.
  public var speedupWithRecycling: Double? {
    let recycling = result[.recycle]
    guard recycling.count == result[.leased].count else { return nil }
    return ratio(to: zip(result[.leased], recycling).map { $0 + $1 })?.median
  }

  private func ratio(to seconds: [Double]) -> PairedRatio? {
    PairedRatio(baseline: seconds, candidate: result[.prealloc])
  }

  /// ministat's plot and table, in milliseconds; then the median of every part, and the ratios.
  public var text: String {
    var parts = [heading]
    let compared: [QEMUBenchmark.Part] = [.prealloc, .leased]
    if let box = ministatBox(compared.map { ($0.rawValue, result[$0]) }) { parts.append(box) }
    parts.append(table)
    if let speedup, let speedupWithRecycling {
      parts.append(
        "leased takes \(number(speedup)) times less time than prealloc, "
          + "\(number(speedupWithRecycling)) times with the recycling")
    }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var heading: String {
    let runs = counted(result.runs, "run")
    let threads = counted(result.threads, "thread")
    return "QEMU with \(result.memory) from start to quit, \(runs) after a warm-up, \(threads), "
      + "huge pages of \(result.pageSize), \(result.accelerator)\n\(result.version)"
  }

  private var table: String {
    let rows = QEMUBenchmark.Part.allCases.compactMap { part -> [String]? in
      guard let median = median(result[part]) else { return nil }
      return [part.rawValue, time(median), "  " + part.meaning]
    }
    // The meanings follow the numbers, left-aligned.
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
  /// What the part's time includes.
  fileprivate var meaning: String {
    switch self {
    case .prealloc: "from QEMU's start to its end, memory-backend-memfd with prealloc=on"
    case .leased: "the lease, and from QEMU's start to its end on the leased file"
    case .lease: "the lease alone"
    case .recycle: "scrubbing the memory afterwards until it is ready again"
    case .fill: "populating the memory once, before any guest"
    }
  }
}

extension QEMUBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, pageBytes, runs, threads, qemu, accelerator, results, comparison
    case part, seconds, median, speedup, speedupWithRecycling
  }

  /// The JSON of `bench qemu`. The speedups are medians of the runs' ratios.
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
    try object.encode(
      ComparisonResult(baseline: result[.prealloc], candidate: result[.leased]),
      forKey: .comparison)
  }
}
