public import HoldfastCore
public import HoldfastLinux

/// What `holdfast bench all` has measured: all numbers of its page.
public struct CompleteReport: Sendable {
  /// Something that was not measured.
  public struct Missing: Hashable, Sendable, Encodable {
    /// What.
    public let part: String
    /// Why.
    public let reason: String

    init(_ part: String, _ reason: String) {
      self.part = part
      self.reason = reason
    }
  }

  /// A figure that others have published; never a measurement of this host.
  public struct Published: Hashable, Sendable, Encodable {
    /// What it is.
    public let name: String
    /// The size of the guest.
    public let memoryBytes: ByteCount
    /// The time.
    public let seconds: Double
  }

  /// The guests' memory.
  public let memory: ByteCount
  /// The number of counted runs.
  public let runs: Int
  /// The threads that populated and zeroed memory.
  public let threads: Int
  /// Whether it was the short benchmark.
  public let isQuick: Bool
  /// What the host offers.
  public let host: HostCapabilities
  /// The kernel's release, which the program sets; nil if it is unknown.
  public var kernel: String?
  /// The date and time in UTC, which the program sets; nil if they are unknown.
  public var date: String?
  /// The program's version.
  public var version = ""
  /// Whether all parts were measured.
  public internal(set) var isComplete = true
  /// Why it is not complete, or nil.
  public internal(set) var reason: String?
  /// How long the benchmark took.
  public internal(set) var seconds = 0.0
  /// The ways and their times.
  public internal(set) var ways: [MeasuredWay] = []
  /// What else the host did during each part of each run.
  public internal(set) var conditions: [RunConditions] = []
  /// Each access to an absent page of 2 MiB, in seconds.
  public internal(set) var latencies: [FaultLatencies.Server: [Double]] = [:]
  /// The memory of clones.
  public internal(set) var clones: [CloneMemory] = []
  /// The budgets.
  public internal(set) var budgets: [Budget] = []
  /// A boot in QEMU against a clone; nil if it was not measured.
  public internal(set) var boot: BootBenchmark.Result?
  /// The bytes that `holdfast --version` had resident at most.
  public internal(set) var programPeak: ByteCount?
  /// What was not measured, besides ways that say so themselves.
  public internal(set) var missing: [Missing] = []

  /// The FreeBSD review that Holdfast began with, on the reviewer's machine: two ways of wiring a
  /// guest of bhyve.
  public static let published = [
    Published(
      name: "FreeBSD review, page by page", memoryBytes: .gibibytes(10), seconds: 0.875),
    Published(
      name: "FreeBSD review, superpages ahead", memoryBytes: .gibibytes(10), seconds: 0.0925),
  ]

  init(
    memory: ByteCount, runs: Int, threads: Int, isQuick: Bool, host: HostCapabilities
  ) {
    self.memory = memory
    self.runs = runs
    self.threads = threads
    self.isQuick = isQuick
    self.host = host
  }

  /// Whether a run of a way was noisy.
  func isNoisy(_ way: MeasuredWay, _ run: Int) -> Bool {
    guard way.conditions.indices.contains(run), conditions.indices.contains(way.conditions[run])
    else { return false }
    return conditions[way.conditions[run]].isNoisy
  }

  /// The index of a way's floor in `ways`; nil without one.
  func floor(of way: MeasuredWay) -> Int? {
    guard let name = way.floor else { return nil }
    return ways.firstIndex {
      $0.group == way.group && $0.way == name && $0.memory == way.memory
        && $0.backing == way.backing && ($0.threads == way.threads || $0.threads == 1)
    }
  }

  /// How much longer a way takes than its floor, run by run; nil without one.
  func ratio(_ way: MeasuredWay) -> PairedRatio? {
    guard let floor = floor(of: way).map({ ways[$0] }) else { return nil }
    // The last run may be incomplete.
    let count = min(floor.seconds.count, way.seconds.count)
    return PairedRatio(
      baseline: Array(floor.seconds.prefix(count)), candidate: Array(way.seconds.prefix(count)))
  }

  /// The slope of a series in double logarithmic scale, by least squares: 1 where the time grows with
  /// the number, 0 where it does not. Nil for fewer than two numbers.
  static func slope(_ points: [(number: Double, seconds: Double)]) -> Double? {
    let logs = points.filter { $0.number > 0 && $0.seconds > 0 }
      .map { (x: logarithm($0.number), y: logarithm($0.seconds)) }
    guard logs.count > 1 else { return nil }
    let count = Double(logs.count)
    let meanX = logs.reduce(0) { $0 + $1.x } / count
    let meanY = logs.reduce(0) { $0 + $1.y } / count
    let spread = logs.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
    guard spread > 0 else { return nil }
    return logs.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread
  }
}
