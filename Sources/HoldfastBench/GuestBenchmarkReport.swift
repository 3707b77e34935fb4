internal import HoldfastCore
internal import HoldfastLinux
public import HoldfastStatistics

/// The report that `holdfast bench guest` prints.
public struct GuestBenchmarkReport: Sendable {
  private let result: GuestBenchmark.Result

  /// Creates the report of a result.
  public init(_ result: GuestBenchmark.Result) {
    self.result = result
  }

  /// The fault path compared with prefault, in seconds; nil with too few runs.
  public var comparison: Comparison? {
    HoldfastBench.comparison(baseline: seconds(.prefault), candidate: seconds(.fault))
  }

  private func seconds(_ path: GuestBenchmark.Path) -> [Double] {
    result.measurements.first { $0.path == path }?.seconds ?? []
  }

  /// The report for people.
  public var text: String {
    let runs = counted(result.runs, "run")
    var parts = [
      "Mapping and wiring a guest of \(result.memory) (\(result.backing.rawValue)), \(runs) after "
        + "a warm-up"
    ]
    if let box = ministatBox(result.measurements.map { ($0.path.rawValue, $0.seconds) }) {
      parts.append(box)
    }
    parts.append(table)
    if let ratio = PairedRatio(baseline: seconds(.prefault), candidate: seconds(.fault)) {
      parts.append("fault takes " + ratio.text(than: "prefault"))
    }
    if let first = result.firstAccesses { parts.append(Self.text(first)) }
    let notes =
      (result.machineProblem.map { ["without a virtual machine: \($0)"] } ?? [])
      + result.fallbacks.map { "not used: \($0)" }
    if !notes.isEmpty { parts.append(notes.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private static func text(_ first: FirstAccesses) -> String {
    let rows = FirstAccesses.Server.allCases.compactMap { server in
      first.median(server).map { [server.rawValue, time($0)] }
    }
    let ratios = [FirstAccesses.Server.handlerInC, .processorInC].compactMap { server in
      first.ratio(to: server).map { "processors take " + $0.text(than: "the " + server.rawValue) }
    }
    let problem = first.problem.map { "not measured: \($0)" }
    return ["First write to a page of 4 KiB that is absent, by what serves the fault"]
      .appending(rows.isEmpty ? nil : aligned([["served by", "median"]] + rows))
      .appending(ratios.isEmpty ? nil : ratios.joined(separator: "\n")).appending(problem).joined(
        separator: "\n")
  }

  private var table: String {
    let large = Double(result.memory.rawValue) / Double(1 << 21)
    var rows = [["path", "median", "per 2 MiB"]]
    func add(_ name: String, _ seconds: Double?) {
      guard let seconds else { return }
      rows.append([
        name, time(seconds), time(seconds / large),
      ])
    }
    for measurement in result.measurements { add(measurement.path.rawValue, measurement.median) }
    add("(slots)", median(result.measurements.flatMap(\.slotSeconds)))
    add("(arena)", result.arenaSeconds)
    let slots = counted(result.slots, "slot")
    return aligned(rows)
      + (result.slots == 0
        ? "" : "\n(slots) is the time to register the window with KVM before, in \(slots).")
      + "\n(arena) is the preparation of the memory, once, before any guest."
  }
}

extension GuestBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, runs, backing, threads, arenaSeconds, slots, machineProblem, results
    case comparison, fallbacks, firstAccesses
    case path, seconds, median, slotSeconds
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
    try object.encode(result.machineProblem, forKey: .machineProblem)
    try object.encode(result.fallbacks, forKey: .fallbacks)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for measurement in result.measurements {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(measurement.path.rawValue, forKey: .path)
      try entry.encode(measurement.seconds, forKey: .seconds)
      try entry.encode(measurement.median, forKey: .median)
      try entry.encode(measurement.slotSeconds, forKey: .slotSeconds)
    }
    if let first = result.firstAccesses {
      var ways = object.nestedUnkeyedContainer(forKey: .firstAccesses)
      for server in FirstAccesses.Server.allCases {
        guard let seconds = first.seconds[server] else { continue }
        var way = ways.nestedContainer(keyedBy: Key.self)
        try way.encode(server.rawValue, forKey: .path)
        try way.encode(seconds, forKey: .seconds)
        try way.encode(first.median(server), forKey: .median)
      }
    }
    var entry = ComparisonResult(baseline: seconds(.prefault), candidate: seconds(.fault))
    entry.baseline = GuestBenchmark.Path.prefault.rawValue
    entry.candidate = GuestBenchmark.Path.fault.rawValue
    try object.encode(entry, forKey: .comparison)
  }
}

extension [String] {
  fileprivate func appending(_ line: String?) -> [String] { self + (line.map { [$0] } ?? []) }
}
