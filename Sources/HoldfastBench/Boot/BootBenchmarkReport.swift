internal import HoldfastCore

/// The report that `holdfast bench boot` prints.
public struct BootBenchmarkReport: Sendable {
  private let result: BootBenchmark.Result

  /// Creates the report of a result.
  public init(_ result: BootBenchmark.Result) { self.result = result }

  /// ministat's plot and table, in milliseconds; then the median of every part, and the ratio.
  public var text: String {
    var parts = [heading]
    let compared: [BootBenchmark.Part] = [.boot, .clone]
    if let box = ministatBox(compared.map { ($0.rawValue, result[$0]) }) { parts.append(box) }
    parts.append(
      BootBenchmark.Part.allCases.compactMap { part in
        median(result[part]).map {
          let name = part.rawValue.padded(to: 5)
          return "\(name)  \(time($0).padded(to: 8))  \(part.meaning)"
        }
      }.joined(separator: "\n"))
    if let conclusion { parts.append(conclusion) }
    return parts.joined(separator: "\n\n") + "\n"
  }

  /// How a clone compares with a boot; nil without runs.
  var conclusion: String? {
    result.speedup.map { "a clone takes \($0.inverted.text(than: "a boot"))" }
  }

  private var heading: String {
    "A guest of \(result.memory) in QEMU until it answers, \(counted(result.runs, "run")) after a "
      + "warm-up, template on \(result.backing), \(result.accelerator)\n\(result.version)"
  }
}

extension String {
  /// The text with spaces behind it.
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}

extension BootBenchmark.Part {
  /// What the part's time includes.
  fileprivate var meaning: String {
    switch self {
    case .boot: "from the start of template create to the guest's first line"
    case .clone: "from the start of run --template to the guest's next line"
    case .seal: "template seal, once, until the template can have clones"
    }
  }
}

extension BootBenchmarkReport: Encodable {
  private enum Key: String, CodingKey {
    case memoryBytes, backing, runs, qemu, accelerator, sealSeconds
    case speedup, speedupSmallest, speedupLargest, results, comparison
    case part, seconds, median, smallest, largest
  }

  /// The JSON of `bench boot`. The speedups are of the runs' pairs: their median, and their range.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(result.memory.rawValue, forKey: .memoryBytes)
    try object.encode(result.backing, forKey: .backing)
    try object.encode(result.runs, forKey: .runs)
    try object.encode(result.version, forKey: .qemu)
    try object.encode(result.accelerator, forKey: .accelerator)
    try object.encode(result[.seal].first, forKey: .sealSeconds)
    try object.encode(result.speedup?.median, forKey: .speedup)
    try object.encode(result.speedup?.smallest, forKey: .speedupSmallest)
    try object.encode(result.speedup?.largest, forKey: .speedupLargest)
    var results = object.nestedUnkeyedContainer(forKey: .results)
    for part in [BootBenchmark.Part.boot, .clone] {
      var entry = results.nestedContainer(keyedBy: Key.self)
      try entry.encode(part.rawValue, forKey: .part)
      try entry.encode(result[part], forKey: .seconds)
      try entry.encode(median(result[part]), forKey: .median)
      try entry.encode(result[part].min(), forKey: .smallest)
      try entry.encode(result[part].max(), forKey: .largest)
    }
    var comparison = ComparisonResult(baseline: result[.boot], candidate: result[.clone])
    comparison.baseline = BootBenchmark.Part.boot.rawValue
    comparison.candidate = BootBenchmark.Part.clone.rawValue
    try object.encode(comparison, forKey: .comparison)
  }
}
