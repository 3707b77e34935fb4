internal import HoldfastCore
internal import HoldfastLinux

/// The report that `holdfast bench guest --hostile` prints.
public struct HostileBenchmarkReport: Sendable {
  private let result: HostileBenchmark.Result

  /// Creates the report of a result.
  public init(_ result: HostileBenchmark.Result) {
    self.result = result
  }

  /// The report for people.
  public var text: String {
    var rows = [["hostile guest", "quiet", "hostile", "ratio", "its faults"]]
    for one in result.measurements {
      rows.append([
        one.act.rawValue, time(one.quiet),
        time(one.hostile), number(one.ratio) + (one.rounds?.spread ?? ""),
        "\(one.hostileFaults)",
      ])
    }
    let problems = result.measurements.flatMap { one in
      one.problems.map { "\nbroken after \(one.act.rawValue): \($0)" }
    }
    return
      "Page faults of 2 MiB (\(result.backing.rawValue)) beside a hostile guest, medians of "
      + "\(result.faults), ratios of \(HostileBenchmark.rounds) rounds\n\n" + aligned(rows) + "\n"
      + problems.joined()
      + (problems.isEmpty ? "" : "\n")
  }
}

extension HostileBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case backing, faults, results
    case act, quietSeconds, hostileSeconds, ratio, ratioSmallest, ratioLargest, hostileFaults
    case problems
  }

  /// The JSON of `bench guest --hostile`.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.backing.rawValue, forKey: .backing)
    try object.encode(result.faults, forKey: .faults)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for one in result.measurements {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(one.act.rawValue, forKey: .act)
      try entry.encode(one.quiet, forKey: .quietSeconds)
      try entry.encode(one.hostile, forKey: .hostileSeconds)
      try entry.encode(one.ratio, forKey: .ratio)
      try entry.encode(one.rounds?.smallest, forKey: .ratioSmallest)
      try entry.encode(one.rounds?.largest, forKey: .ratioLargest)
      try entry.encode(one.hostileFaults, forKey: .hostileFaults)
      try entry.encode(one.problems, forKey: .problems)
    }
  }
}
