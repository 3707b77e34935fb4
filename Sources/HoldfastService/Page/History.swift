internal import HoldfastCore

/// What the service's graphs show: samples at an interval, of which the oldest ones go.
///
/// The memory is bounded: a sample has a fixed number of numbers, whatever the configuration has.
struct History: Sendable {
  /// The state at one moment, and what was done since the sample before.
  struct Sample: Hashable, Sendable, Encodable {
    /// The seconds since 1970.
    var time: Double
    /// The numbers of ready files of the first levels, and those that should be ready.
    var ready: [Int] = []
    var wanted: [Int] = []
    var readyBytes: UInt64 = 0
    var leasedBytes: UInt64 = 0
    var fillingBytes: UInt64 = 0
    var leases: UInt64 = 0
    var failures: UInt64 = 0
    var filledBytes: UInt64 = 0
    var collectedBytes: UInt64 = 0
    /// The seconds that these were counted in.
    var seconds = 0.0
    /// Bounds that half, and 99 of 100, leases did not exceed; nil without leases.
    var leaseP50Seconds: Double?
    var leaseP99Seconds: Double?
  }

  /// The interval of the samples, and their number: an hour.
  static let interval = Duration.seconds(10)
  static let capacity = 360
  /// The number of levels of which each sample has the files.
  static let mostLevels = 8

  private var ring: [Sample] = []
  /// The place of the oldest sample once the ring is full.
  private var start = 0
  private(set) var last: (reading: ServiceReading, moment: UInt64)?
  /// What was done between the last two samples.
  private(set) var change: ReadingChange?

  init() { ring.reserveCapacity(Self.capacity) }

  /// The samples, the oldest first.
  ///
  /// - Complexity: O(capacity)
  var samples: [Sample] { Array(ring[start...] + ring[..<start]) }

  var count: Int { ring.count }

  /// Adds a sample.
  ///
  /// - Parameters:
  ///   - time: the seconds since 1970.
  ///   - moment: the monotonic clock, whose differences the rates are of.
  /// - Complexity: O(levels)
  mutating func add(_ reading: ServiceReading, time: Double, moment: UInt64) {
    let seconds = last.map { Double(moment - min(moment, $0.moment)) / 1e9 }
    // The first sample has what was done since the start.
    let age = reading.started.map { max(0, time - $0) } ?? .infinity
    let change = ReadingChange(
      from: last?.reading ?? ServiceReading(), to: reading,
      seconds: min(seconds ?? .infinity, age))
    self.change = change
    last = (reading, moment)
    var sample = Sample(time: time)
    let levels = LevelRow.all(reading.levels, reading.rows).prefix(
      min(reading.levels.count, Self.mostLevels))
    sample.ready = levels.map(\.ready)
    sample.wanted = levels.map { $0.wanted ?? 0 }
    let totals = MemoryTotals(reading.rows)
    sample.readyBytes = totals.ready.rawValue
    sample.leasedBytes = totals.leased.rawValue
    sample.fillingBytes = totals.filling.rawValue
    let leases = change.durations[.lease]
    sample.leases = leases?.count ?? 0
    sample.failures = change.failures.values.reduce(0, &+)
    sample.filledBytes = change.counters[.filledBytes] ?? 0
    sample.collectedBytes = change.counters[.collectedBytes] ?? 0
    sample.seconds = change.seconds.isFinite ? change.seconds : 0
    sample.leaseP50Seconds = Self.bound(leases, 0.5)
    sample.leaseP99Seconds = Self.bound(leases, 0.99)
    if ring.count < Self.capacity {
      ring.append(sample)
    } else {
      ring[start] = sample
      start = (start + 1) % Self.capacity
    }
  }

  /// The bound of a part of the durations; the last bound for longer ones.
  private static func bound(_ durations: ServiceReading.Durations?, _ part: Double) -> Double? {
    guard let durations, let bound = durations.bound(ofPart: part) else { return nil }
    return bound.isFinite ? bound : durations.bounds.last
  }
}
