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

  /// The time on preallocated memory over the time on leased memory, run by run.
  public var speedup: PairedRatio? { speedup(with: nil) }

  /// The same with the first accesses to all pages counted as part of the time on leased memory.
  public var speedupWithTouching: PairedRatio? { speedup(with: .touch) }

  /// The same with the recycling counted as part of the time on leased memory.
  public var speedupWithRecycling: PairedRatio? { speedup(with: .recycle) }

  private func speedup(with part: QEMUBenchmark.Part?) -> PairedRatio? {
    var seconds = result[.leased]
    if let part {
      guard result[part].count == seconds.count else { return nil }
      seconds = zip(seconds, result[part]).map { $0 + $1 }
    }
    return PairedRatio(baseline: seconds, candidate: result[.prealloc])
  }

  /// ministat's plot and table, in milliseconds; then the median of every part, and the ratios.
  public var text: String {
    var parts = [heading]
    let compared: [QEMUBenchmark.Part] = [.prealloc, .leased]
    if let box = ministatBox(compared.map { ($0.rawValue, result[$0]) }) { parts.append(box) }
    parts.append(table)
    let ratios = [
      (speedup, "leased takes"), (speedupWithTouching, "leased and touch take"),
      (speedupWithRecycling, "leased and recycle take"),
    ].compactMap { ratio, subject in ratio.map { "\(subject) \(text(of: $0))" } }
    if !ratios.isEmpty { parts.append(ratios.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n") + "\n"
  }

  /// How a time compares with that of prealloc, from the inverse ratio.
  private func text(of speedup: PairedRatio) -> String {
    let isFaster = speedup.median >= 1
    let shown = isFaster ? speedup : speedup.inverted
    return "\(number(shown.median)) times "
      + (isFaster ? "less time than prealloc" : "as long as prealloc") + shown.spread
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
      let faults = HoldfastBench.median((result.minorFaults[part] ?? []).map { Double($0) })
      return [
        part.rawValue, time(median), faults.map { "\(Int64($0))" } ?? "-", "  " + part.meaning,
      ]
    }
    // The meanings follow the numbers, left-aligned.
    let width = rows.map { $0[3].count }.max() ?? 0
    let padded = rows.map { row in
      Array(row.dropLast()) + [row[3] + String(repeating: " ", count: width - row[3].count)]
    }
    return aligned([["", "median", "faults", String(repeating: " ", count: width)]] + padded)
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
    case .touch: "accessing each page of the leased file once, later in the guest's time"
    case .recycle: "scrubbing the memory afterwards until it is ready again"
    case .fill: "populating the memory once, before any guest"
    }
  }
}

extension QEMUBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, pageBytes, runs, threads, qemu, accelerator, results, comparison
    case part, seconds, median, minorFaults
    case speedup, speedupWithTouching, speedupWithRecycling
  }

  /// The JSON of `bench qemu`. The speedups are medians of the runs' ratios; `minorFaults` is null for
  /// parts whose faults are not counted.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.memory.rawValue, forKey: .memoryBytes)
    try object.encode(result.pageSize.rawValue, forKey: .pageBytes)
    try object.encode(result.runs, forKey: .runs)
    try object.encode(result.threads, forKey: .threads)
    try object.encode(result.version, forKey: .qemu)
    try object.encode(result.accelerator, forKey: .accelerator)
    try object.encode(speedup?.median, forKey: .speedup)
    try object.encode(speedupWithTouching?.median, forKey: .speedupWithTouching)
    try object.encode(speedupWithRecycling?.median, forKey: .speedupWithRecycling)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for part in QEMUBenchmark.Part.allCases {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(part.rawValue, forKey: .part)
      try entry.encode(result[part], forKey: .seconds)
      try entry.encode(median(result[part]), forKey: .median)
      try entry.encode(result.minorFaults[part], forKey: .minorFaults)
    }
    var comparison = ComparisonResult(baseline: result[.prealloc], candidate: result[.leased])
    comparison.baseline = QEMUBenchmark.Part.prealloc.rawValue
    comparison.candidate = QEMUBenchmark.Part.leased.rawValue
    try object.encode(comparison, forKey: .comparison)
  }
}
