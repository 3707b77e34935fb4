internal import HoldfastCore
internal import HoldfastReservoir

/// Statistics of the service's work, and of the operations that other processes reported, since its
/// start.
struct ServiceMetrics: Sendable {
  typealias Failure = ServiceReading.Failure

  /// When the service started, in seconds since 1970.
  let started = Clock.unix
  var fillSeconds = Histogram(Histogram.slow)
  var filledBytes: UInt64 = 0
  var leaseSeconds = Histogram(Histogram.quick)
  var leaseWaitSeconds = Histogram(Histogram.quick)
  var leasedBytes: UInt64 = 0
  var recycleSeconds = Histogram(Histogram.slow)
  var recycledBytes: UInt64 = 0
  var released: UInt64 = 0
  var releasedBytes: UInt64 = 0
  /// The duration of collections that found something to collect.
  var collectSeconds = Histogram(Histogram.slow)
  var removed: UInt64 = 0
  var collectedBytes: UInt64 = 0
  /// Whether other processes report their operations to this one.
  var isListening = false
  /// Messages that are not events.
  var invalidMessages: UInt64 = 0
  var failures: [Failure: UInt64] = [:]
  /// When an operation last succeeded, in seconds since 1970.
  var successes: [String: Double] = [:]

  mutating func fail(_ operation: String, _ code: String) {
    failures[Failure(operation: operation, code: code), default: 0] += 1
  }

  mutating func succeed(_ operation: String) { successes[operation] = Clock.unix }

  /// Counts the outcome of an operation. Sums wrap around, since any user who may lease can report
  /// any size.
  mutating func count(_ event: ReservoirEvent) {
    if let failure = event.failure { return fail(event.operation.rawValue, failure.rawValue) }
    let seconds = event.duration / .seconds(1)
    let bytes = event.size.rawValue
    switch event.operation {
    case .fill:
      fillSeconds.add(seconds)
      filledBytes &+= bytes
    case .lease:
      leaseSeconds.add(seconds)
      leaseWaitSeconds.add(event.waited / .seconds(1))
      leasedBytes &+= bytes
    case .recycle:
      recycleSeconds.add(seconds)
      recycledBytes &+= bytes
    case .release:
      released += 1
      releasedBytes &+= bytes
    }
  }
}
