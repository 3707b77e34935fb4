internal import HoldfastCore

/// Levels and what a service did, for programs. The keys do not change.
package struct ServiceReport: Encodable, Sendable {
  /// Where the numbers come from, or nil where they are not known.
  package let source: String?
  /// Why the service is not healthy, or why nothing is known of it.
  package let problem: String?
  /// Whether the service is healthy; nil where the source does not say.
  package let isHealthy: Bool?
  /// When the service started, in seconds since 1970.
  package let startTime: Double?
  /// The seconds that the changes are of.
  package let periodSeconds: Double?
  /// Sums since the start, by the names of the metrics, and what they grew by.
  package let totals: [String: UInt64]
  package let changes: [String: UInt64]
  package let durations: [String: Times]
  package let failures: [Failure]

  /// Files of one size and node.
  package struct Level: Encodable, Sendable {
    package let sizeBytes: UInt64
    package let node: UInt32?
    package let wanted: Int?
    package let ready: Int
    package let leased: Int
    package let filling: Int

    package init(_ row: LevelRow) {
      sizeBytes = row.size.rawValue
      node = row.node?.rawValue
      wanted = row.wanted
      ready = row.ready
      leased = row.leased
      filling = row.filling
    }
  }

  /// Operations of one kind.
  package struct Times: Encodable, Sendable {
    package let count: UInt64
    package let change: UInt64
    /// Bounds that half, and 99 of 100, of the change did not exceed; nil without any, and beyond
    /// the last bound of the histogram.
    package let p50Seconds: Double?
    package let p99Seconds: Double?
  }

  /// Failures of one kind.
  package struct Failure: Encodable, Sendable {
    package let operation: String
    package let code: String
    package let count: UInt64
    package let change: UInt64
  }

  /// A service of which nothing is known, and why.
  package init(unknown problem: String) {
    source = nil
    self.problem = problem
    isHealthy = nil
    startTime = nil
    periodSeconds = nil
    totals = [:]
    changes = [:]
    durations = [:]
    failures = []
  }

  /// What a service did since an earlier reading.
  ///
  /// - Parameter problem: why it is not healthy; empty for a healthy one, nil where that is not
  ///   known.
  package init(
    _ reading: ServiceReading, since change: ReadingChange, problem: String?, source: String?
  ) {
    func named(_ counters: [ServiceReading.Counter: UInt64]) -> [String: UInt64] {
      Dictionary(uniqueKeysWithValues: counters.map { ($0.rawValue, $1) })
    }
    self.source = source
    self.problem = problem.flatMap { $0.isEmpty ? nil : $0 }
    isHealthy = problem.map(\.isEmpty)
    startTime = reading.started
    periodSeconds = change.seconds.isFinite ? change.seconds : nil
    totals = named(reading.counters)
    changes = named(change.counters)
    let times = reading.durations.map { timed, all in
      let new = change.durations[timed] ?? .init()
      func bound(_ part: Double) -> Double? {
        new.bound(ofPart: part).flatMap { $0.isFinite ? $0 : nil }
      }
      let times = Times(
        count: all.count, change: new.count, p50Seconds: bound(0.5), p99Seconds: bound(0.99))
      return (timed.rawValue, times)
    }
    durations = Dictionary(uniqueKeysWithValues: times)
    failures = reading.failures.sorted { $0.key < $1.key }.map { failure, count in
      Failure(
        operation: failure.operation, code: failure.code, count: count,
        change: change.failures[failure] ?? 0)
    }
  }
}
