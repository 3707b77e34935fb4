internal import HoldfastCore
internal import HoldfastLinux

/// The report that `holdfast bench template` prints.
public struct TemplateBenchmarkReport: Sendable {
  private let result: TemplateBenchmark.Result

  /// Creates the report of a result.
  public init(_ result: TemplateBenchmark.Result) {
    self.result = result
  }

  /// The report for people.
  public var text: String {
    var parts = [
      "Clones of a template of \(result.memory) in \(result.mount) (arena: "
        + "\(result.backing.rawValue)), \(counted(result.runs, "run")) after a warm-up.\n"
        + "A guest program reads \(counted(result.touches, "word")), one in every tenth "
        + "\(result.pageSize), in a random order."
    ]
    parts.append(aligned(rows))
    parts.append(
      "seal: \(time(result.sealSeconds)), in which the memory became a template, once"
        + (median(result.firstTouchSeconds).map {
          "\nfirst touch: \(time($0)), from the start of a clone to the end of its first write"
        } ?? ""))
    let ratios = [TemplateBenchmark.Way.resident, .entered, .copied].compactMap { way in
      PairedRatio(baseline: seconds(.onDemand), candidate: seconds(way)).map {
        "\(way.rawValue) takes " + $0.text(than: TemplateBenchmark.Way.onDemand.rawValue)
      }
    }
    if !ratios.isEmpty { parts.append(ratios.joined(separator: "\n")) }
    parts.append(
      "total includes the start of the clone and of its machine. faults are page faults that a "
        + "handler\nthread served, reads those that read a page, met those whose page had been "
        + "read ahead.")
    if !result.fallbacks.isEmpty {
      parts.append(result.fallbacks.map { "not used: \($0)" }.joined(separator: "\n"))
    }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private func seconds(_ way: TemplateBenchmark.Way) -> [Double] {
    result.measurements.first { $0.way == way }?.totalSeconds ?? []
  }

  private var rows: [[String]] {
    var rows = [["pages", "total", "start", "program", "faults", "reads", "ahead", "met"]]
    func cell(_ seconds: [Double]) -> String { median(seconds).map { time($0) } ?? "-" }
    func middle(_ counts: [Int]) -> Int { counts.isEmpty ? 0 : counts.sorted()[counts.count / 2] }
    for measurement in result.measurements {
      let bytes = measurement.readAheadBytes.sorted()
      let ahead = bytes.isEmpty ? 0 : bytes[bytes.count / 2]
      rows.append([
        measurement.way.rawValue, cell(measurement.totalSeconds), cell(measurement.startSeconds),
        cell(measurement.programSeconds), "\(middle(measurement.faults))",
        "\(middle(measurement.pagedFaults))",
        ahead == 0 ? "0" : HostReport.rounded(ByteCount(ahead)),
        "\(middle(measurement.metTouches))",
      ])
    }
    return rows
  }
}

extension TemplateBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, mount, backing, pageBytes, touches, runs, sealSeconds, firstTouchSeconds
    case results, comparisons, fallbacks
    case pages, totalSeconds, startSeconds, programSeconds, median, faults, pagedFaults
    case readAheadBytes, metTouches, missedTouches
  }

  /// The JSON of `bench template`.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.memory.rawValue, forKey: .memoryBytes)
    try object.encode(result.mount, forKey: .mount)
    try object.encode(result.backing.rawValue, forKey: .backing)
    try object.encode(result.pageSize.rawValue, forKey: .pageBytes)
    try object.encode(result.touches, forKey: .touches)
    try object.encode(result.runs, forKey: .runs)
    try object.encode(result.sealSeconds, forKey: .sealSeconds)
    try object.encode(result.firstTouchSeconds, forKey: .firstTouchSeconds)
    try object.encode(result.fallbacks, forKey: .fallbacks)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for measurement in result.measurements {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(measurement.way.rawValue, forKey: .pages)
      try entry.encode(measurement.totalSeconds, forKey: .totalSeconds)
      try entry.encode(median(measurement.totalSeconds), forKey: .median)
      try entry.encode(measurement.startSeconds, forKey: .startSeconds)
      try entry.encode(measurement.programSeconds, forKey: .programSeconds)
      try entry.encode(measurement.faults, forKey: .faults)
      try entry.encode(measurement.pagedFaults, forKey: .pagedFaults)
      try entry.encode(measurement.readAheadBytes, forKey: .readAheadBytes)
      try entry.encode(measurement.metTouches, forKey: .metTouches)
      try entry.encode(measurement.missedTouches, forKey: .missedTouches)
    }
    let candidates = TemplateBenchmark.Way.allCases.filter { $0 != .onDemand }
    try object.encode(
      candidates.map { way in
        var comparison = ComparisonResult(baseline: seconds(.onDemand), candidate: seconds(way))
        comparison.baseline = TemplateBenchmark.Way.onDemand.rawValue
        comparison.candidate = way.rawValue
        return comparison
      }, forKey: .comparisons)
  }
}
