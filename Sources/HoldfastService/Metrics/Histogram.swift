/// Times by how long they took, as Prometheus counts them.
struct Histogram: Sendable {
  /// Upper bounds in seconds; what took longer is in none but the last, which has no bound.
  static let bounds = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

  private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  private(set) var sum = 0.0

  var count: UInt64 { counts.reduce(0, +) }

  mutating func add(_ seconds: Double) {
    counts[Histogram.bounds.firstIndex { seconds <= $0 } ?? Histogram.bounds.count] += 1
    sum += seconds
  }
}
