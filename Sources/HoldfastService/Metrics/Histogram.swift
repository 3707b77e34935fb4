/// A histogram of durations, as in Prometheus.
struct Histogram: Sendable {
  /// Bounds for operations that zero or scrub a file.
  static let slow = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
  /// Bounds for operations of a few system calls.
  static let quick = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60,
  ]

  /// The upper bounds of the buckets, in seconds. A last bucket has none.
  let bounds: [Double]
  private(set) var counts: [UInt64]
  private(set) var sum = 0.0

  init(_ bounds: [Double]) {
    self.bounds = bounds
    counts = [UInt64](repeating: 0, count: bounds.count + 1)
  }

  var count: UInt64 { counts.reduce(0, +) }

  mutating func add(_ seconds: Double) {
    counts[bounds.firstIndex { seconds <= $0 } ?? bounds.count] += 1
    sum += seconds
  }
}
