internal import HoldfastCore
internal import HoldfastLinux

extension CompleteReport: Encodable {
  private enum Key: String, CodingKey {
    case version, date, kernel, processor, hostMemoryBytes, complete, reason, quick, seconds
    case memoryBytes, runs, threads, programPeakBytes
    case ways, slopes, conditions, faults, clones, boot, budgets, missing, published
  }

  /// Writes all keys; what is missing is null. Each number of the page is one of these.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(version, forKey: .version)
    try object.encode(date, forKey: .date)
    try object.encode(kernel, forKey: .kernel)
    try object.encode(host.processors.model, forKey: .processor)
    try object.encode(host.memory.total?.rawValue, forKey: .hostMemoryBytes)
    try object.encode(isComplete, forKey: .complete)
    try object.encode(reason, forKey: .reason)
    try object.encode(isQuick, forKey: .quick)
    try object.encode(seconds, forKey: .seconds)
    try object.encode(memory.rawValue, forKey: .memoryBytes)
    try object.encode(runs, forKey: .runs)
    try object.encode(threads, forKey: .threads)
    try object.encode(programPeak?.rawValue, forKey: .programPeakBytes)
    try object.encode(ways.map { WayEntry(way: $0, ratio: ratio($0)) }, forKey: .ways)
    try object.encode(slopes, forKey: .slopes)
    try object.encode(conditions, forKey: .conditions)
    try object.encode(faults, forKey: .faults)
    try object.encode(clones, forKey: .clones)
    try object.encode(boot.map { BootBenchmarkReport($0) }, forKey: .boot)
    try object.encode(budgets, forKey: .budgets)
    try object.encode(missing, forKey: .missing)
    try object.encode(CompleteReport.published, forKey: .published)
  }

  /// A way with its ratio to the floor.
  private struct WayEntry: Encodable {
    let way: MeasuredWay
    let ratio: PairedRatio?

    private enum Key: String, CodingKey { case floorRatio, floorRatioSmallest, floorRatioLargest }

    func encode(to encoder: any Encoder) throws {
      try way.encode(to: encoder)
      var object = encoder.container(keyedBy: Key.self)
      try object.encode(ratio?.median, forKey: .floorRatio)
      try object.encode(ratio?.smallest, forKey: .floorRatioSmallest)
      try object.encode(ratio?.largest, forKey: .floorRatioLargest)
    }
  }

  // MARK: Slopes

  /// How the time of a way grows with the size or the number of threads.
  struct Slope: Hashable, Encodable {
    let group: String
    let way: String
    let backing: String?
    /// The exponent, or nil for fewer than two points.
    let slope: Double?

    private enum Key: String, CodingKey { case group, way, backing, slope }

    func encode(to encoder: any Encoder) throws {
      var object = encoder.container(keyedBy: Key.self)
      try object.encode(group, forKey: .group)
      try object.encode(way, forKey: .way)
      try object.encode(backing, forKey: .backing)
      try object.encode(slope, forKey: .slope)
    }
  }

  /// Ways that differ in the size or in the number of threads alone, by their numbers in `ways`.
  struct Line {
    let group: MeasuredWay.Group
    let ways: [Int]
  }

  /// The lines of the pictures of sizes and threads.
  var lines: [Line] {
    [MeasuredWay.Group.size, .threads].flatMap { group in
      var names: [[String]] = []
      var members: [[Int]] = []
      for (index, way) in ways.enumerated() where way.group == group {
        let name = [way.way, way.backing ?? ""]
        if let found = names.firstIndex(of: name) {
          members[found].append(index)
        } else {
          names.append(name)
          members.append([index])
        }
      }
      return members.map { Line(group: group, ways: $0) }
    }
  }

  /// The place of a way on the horizontal axis of its line.
  static func place(_ way: MeasuredWay) -> Double {
    way.group == .threads ? Double(way.threads) : Double(way.memory?.rawValue ?? 0)
  }

  /// The slopes of the lines, in their order.
  var slopes: [Slope] {
    lines.map { line in
      let first = ways[line.ways[0]]
      return Slope(
        group: first.group.rawValue, way: first.way, backing: first.backing,
        slope: CompleteReport.slope(
          line.ways.compactMap { index in
            ways[index].median.map { (CompleteReport.place(ways[index]), $0) }
          }))
    }
  }

  // MARK: Page faults

  /// The accesses to absent pages of 2 MiB that one server served.
  struct Faults: Encodable {
    let server: String
    let seconds: [Double]
    let bins: [Bin]

    /// Accesses that took at least `from` and less than `to` seconds.
    struct Bin: Hashable, Encodable {
      let from: Double
      let to: Double
      let count: Int
    }

    private enum Key: String, CodingKey { case server, seconds, p50, p90, p99, largest, bins }

    func encode(to encoder: any Encoder) throws {
      var object = encoder.container(keyedBy: Key.self)
      try object.encode(server, forKey: .server)
      try object.encode(seconds, forKey: .seconds)
      try object.encode(percentile(50), forKey: .p50)
      try object.encode(percentile(90), forKey: .p90)
      try object.encode(percentile(99), forKey: .p99)
      try object.encode(seconds.max(), forKey: .largest)
      try object.encode(bins, forKey: .bins)
    }

    /// The least of the times that so many percent do not exceed.
    func percentile(_ percent: Int) -> Double? {
      let sorted = seconds.sorted()
      guard !sorted.isEmpty else { return nil }
      return sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
    }
  }

  /// The servers that were measured, with bins of equal ratios that all of them share.
  var faults: [Faults] {
    let all = latencies.values.joined().filter { $0 > 0 }
    guard let least = all.min(), let most = all.max() else { return [] }
    // Ten bins for each factor of ten.
    let ratio = exponential(1 / 10)
    var edges = [exponential((logarithm(least) * 10).rounded(.down) / 10)]
    while edges[edges.count - 1] <= most, edges.count < 200 {
      edges.append(edges[edges.count - 1] * ratio)
    }
    return FaultLatencies.Server.allCases.compactMap { server in
      guard let seconds = latencies[server], !seconds.isEmpty else { return nil }
      let bins = zip(edges, edges.dropFirst()).map { from, to in
        Faults.Bin(from: from, to: to, count: seconds.count { $0 >= from && $0 < to })
      }
      return Faults(server: server.rawValue, seconds: seconds, bins: bins)
    }
  }
}
