internal import HoldfastCore
internal import HoldfastReservoir

/// What the service has seen and done since it started.
struct ServiceFigures: Sendable {
  struct Failure: Hashable, Comparable {
    let operation: String
    let code: String

    static func < (left: Failure, right: Failure) -> Bool {
      (left.operation, left.code) < (right.operation, right.code)
    }
  }

  let started = Clock.unix
  var fillSeconds = Histogram()
  var filledBytes: UInt64 = 0
  /// Of collections that found something to do.
  var collectSeconds = Histogram()
  var recycled: UInt64 = 0
  var released: UInt64 = 0
  var removed: UInt64 = 0
  var collectedBytes: UInt64 = 0
  var leasesSeen: UInt64 = 0
  var failures: [Failure: UInt64] = [:]
  /// When an operation last succeeded, in seconds since 1970.
  var successes: [String: Double] = [:]

  private var leases: Set<String>?

  mutating func fail(_ operation: String, _ code: String) {
    failures[Failure(operation: operation, code: code), default: 0] += 1
  }

  mutating func succeed(_ operation: String) { successes[operation] = Clock.unix }

  /// Counts leases that were not there the last time. Those that came and went in between are not seen.
  mutating func watch(_ status: ReservoirStatus) {
    let now = Set(status.leases.map { "\($0.user)/\($0.name)/\($0.isHeld)" })
    if let leases { leasesSeen += UInt64(now.subtracting(leases).count) }
    leases = now
  }
}
