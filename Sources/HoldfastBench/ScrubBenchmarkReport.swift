internal import HoldfastCore
internal import HoldfastLinux

/// The report that `holdfast bench scrub` prints.
public struct ScrubBenchmarkReport: Sendable {
  private let result: ScrubBenchmark.Result

  /// Creates the report of a result.
  public init(_ result: ScrubBenchmark.Result) {
    self.result = result
  }

  /// The report for people.
  public var text: String {
    let count = result.statistics.threads
    let rows: [(label: String, value: String)] = [
      ("(arena)", time(result.arenaSeconds)),
      ("wire 1", wiring(result.first)),
      ("dirty", "\(time(result.dirtySeconds)), \(speed(result.dirtySeconds))"),
      ("scrub", "\(time(result.scrubSeconds)), \(speed(result.scrubSeconds)), \(priority)"),
      ("wire 2", wiring(result.second)),
      ("contents", result.isZero ? "all zero" : "NOT ZERO"),
    ]
    let width = rows.map(\.label.count).max() ?? 0
    let lines = rows.map { row in
      row.label + String(repeating: " ", count: width - row.label.count + 2) + row.value
    }
    return "Wiring \(result.memory) (\(result.backing.rawValue)) before and after a guest wrote to "
      + "all of it, scrubbed by \(counted(count, "thread"))\n\n"
      + lines.joined(separator: "\n") + "\n"
      + result.fallbacks.map { "\nnot used: \($0)" }.joined()
      + (result.fallbacks.isEmpty ? "" : "\n")
  }

  private var priority: String {
    switch result.statistics.priority {
    case .idle: "at idle priority"
    case .nice, .normal, nil:
      "not at idle priority: \(result.statistics.priorityProblem ?? "unknown")"
    }
  }

  private func speed(_ seconds: Double) -> String {
    let gibibytes = Double(result.memory.rawValue) / Double(1 << 30)
    return number(gibibytes / seconds) + " GiB/s"
  }

  private func wiring(_ wiring: ScrubBenchmark.Wiring) -> String {
    func amount(_ bytes: ByteCount) -> String { bytes == .zero ? "0" : "\(bytes)" }
    return "\(time(wiring.seconds)), \(amount(wiring.zeroedAhead)) zeroed ahead, "
      + "\(amount(wiring.zeroedNow)) now"
  }
}

extension ScrubBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, backing, threads, arenaSeconds, firstWire, dirtySeconds, scrub, secondWire
    case isZero, fallbacks
    case seconds, zeroedAheadBytes, zeroedNowBytes
    case scrubbedBytes, bytesPerSecond, busySeconds, priority, priorityProblem, callbacks
  }

  /// The JSON of `bench scrub`.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.memory.rawValue, forKey: .memoryBytes)
    try object.encode(result.backing.rawValue, forKey: .backing)
    try object.encode(result.threads, forKey: .threads)
    try object.encode(result.arenaSeconds, forKey: .arenaSeconds)
    try object.encode(result.dirtySeconds, forKey: .dirtySeconds)
    try object.encode(result.isZero, forKey: .isZero)
    try object.encode(result.fallbacks, forKey: .fallbacks)
    for (key, wiring) in [(Key.firstWire, result.first), (.secondWire, result.second)] {
      var entry = object.nestedContainer(keyedBy: Key.self, forKey: key)
      try entry.encode(wiring.seconds, forKey: .seconds)
      try entry.encode(wiring.zeroedAhead.rawValue, forKey: .zeroedAheadBytes)
      try entry.encode(wiring.zeroedNow.rawValue, forKey: .zeroedNowBytes)
    }
    let statistics = result.statistics
    var scrub = object.nestedContainer(keyedBy: Key.self, forKey: .scrub)
    try scrub.encode(result.scrubSeconds, forKey: .seconds)
    try scrub.encode(statistics.threads, forKey: .threads)
    try scrub.encode(statistics.scrubbed.rawValue, forKey: .scrubbedBytes)
    try scrub.encode(
      Double(result.memory.rawValue) / result.scrubSeconds, forKey: .bytesPerSecond)
    try scrub.encode(statistics.busy.seconds, forKey: .busySeconds)
    try scrub.encode(statistics.callbacks, forKey: .callbacks)
    try scrub.encode(statistics.priority?.rawValue, forKey: .priority)
    try scrub.encode(statistics.priorityProblem, forKey: .priorityProblem)
  }
}
