internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastSimulation

/// The result of `holdfast simulate --fleet`. Bytes and seconds are numbers; means are over the
/// simulated time.
struct FleetReport: Encodable {
  /// A level, of files for each host.
  struct Level: Encodable {
    let count: Int
    let sizeBytes: UInt64

    init(_ level: FleetOptions.Level) {
      count = level.count
      sizeBytes = level.size.rawValue
    }

    /// As the service's configuration has it: `4x2G`.
    var text: String { "\(count)x\(ByteCount(sizeBytes).shortDescription)" }
  }

  let hosts: Int
  let hostMemoryBytes: UInt64
  let nodesPerHost: Int
  let placement: String
  let levels: [Level]
  let fillBytesPerSecond: UInt64
  let durationSeconds: Double
  let initialGuests: Int
  let guests: Int
  let startedReady: Int
  let delayed: Int
  let refused: Int
  let refusedBytes: UInt64
  let delayMedianSeconds: Double?
  let delay99thSeconds: Double?
  let delayLongestSeconds: Double?
  let usedMeanBytes: UInt64
  let readyMeanBytes: UInt64
  let strandedMeanBytes: UInt64
  let strandedMostBytes: UInt64
  let suggestedLevels: [Level]

  init(_ options: FleetOptions, _ figures: FleetFigures, duration: Double) {
    hosts = options.hosts
    hostMemoryBytes = options.memory.rawValue
    nodesPerHost = options.nodes
    placement = options.placement.rawValue
    levels = options.levels.map { Level($0) }
    fillBytesPerSecond = options.fillRate.rawValue
    durationSeconds = duration
    initialGuests = figures.initial
    guests = figures.arrived
    startedReady = figures.ready
    delayed = figures.delayed
    refused = figures.refused
    refusedBytes = figures.refusedBytes.rawValue
    let delays = figures.delays
    delayMedianSeconds = delays?.median
    delay99thSeconds = delays?.high
    delayLongestSeconds = delays?.longest
    usedMeanBytes = UInt64(figures.usedMean)
    readyMeanBytes = UInt64(figures.readyMean)
    strandedMeanBytes = UInt64(figures.strandedMean)
    strandedMostBytes = figures.strandedMost.rawValue
    suggestedLevels = figures.suggestion.map { Level($0) }
  }

  /// The result for people.
  var text: String {
    let total = Double(max(1, guests))
    func share(_ count: Int) -> String {
      "\(grouped(UInt64(count))), \(decimal(100 * Double(count) / total, places: 2)) %"
    }
    func size(_ bytes: UInt64) -> String { HostReport.rounded(ByteCount(bytes)) }
    let all = hostMemoryBytes.saturatingProduct(UInt64(hosts))
    var rows: [(label: String, value: String)] = [
      (
        "hosts",
        "\(grouped(UInt64(hosts))) of \(ByteCount(hostMemoryBytes)), each with "
          + "\(nodesPerHost) NUMA nodes"
      ),
      ("placement", placement),
      ("levels", levels.isEmpty ? "none" : levels.map(\.text).joined(separator: ", ")),
      ("time", "\(decimal(durationSeconds / 3600, places: 1)) hours simulated"),
      (
        "guests",
        "\(grouped(UInt64(guests))), after \(grouped(UInt64(initialGuests))) that ran at the start"
      ),
      ("started at once", share(startedReady)),
      ("delayed", share(delayed)),
    ]
    if let median = delayMedianSeconds, let high = delay99thSeconds,
      let longest = delayLongestSeconds
    {
      rows.append(
        (
          "delays",
          "median \(formatted(.seconds(median))), 99th percentile \(formatted(.seconds(high))), "
            + "longest \(formatted(.seconds(longest)))"
        ))
    }
    rows += [
      ("refused", share(refused) + (refused == 0 ? "" : "; \(size(refusedBytes))")),
      ("used, mean", "\(size(usedMeanBytes)) of \(size(all))"),
      ("ready, mean", size(readyMeanBytes)),
      (
        "stranded ready",
        delayed + refused == 0
          ? "none: no guest was delayed or refused"
          : "\(size(strandedMeanBytes)) on average when a guest found none, at most "
            + size(strandedMostBytes)
      ),
      (
        "levels for 99 %",
        suggestedLevels.isEmpty
          ? "none: no guest arrived after the start"
          : suggestedLevels.map(\.text).joined(separator: ", ") + " on each host"
      ),
    ]
    return labeled(rows)
  }

  /// The suggestion as a ConfigMap with the service's configuration.
  var configMap: String {
    """
    # What each host would have kept ready for 99 of 100 guests to find it, by `holdfast simulate`:
    # \(grouped(UInt64(hosts))) hosts, \(grouped(UInt64(guests))) guests, placement \(placement).
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: holdfast-reservoir
      labels:
        app.kubernetes.io/name: holdfast
    data:
      reservoir.conf: |

    """
      + suggestedLevels.map { "    [level]\n    files = \($0.text)\n" }.joined()
  }
}
