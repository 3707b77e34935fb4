package import HoldfastCore

/// What happened in a fleet.
package struct FleetFigures: Hashable, Sendable {
  /// The guests that ran at the start, which no level could have been ready for.
  package var initial = 0
  /// The guests that arrived later.
  package var arrived = 0
  /// The guests that got a ready file.
  package var ready = 0
  /// The guests whose memory had to be populated first.
  package var delayed = 0
  /// The guests for which no node of a host had memory.
  package var refused = 0
  /// The sizes of those, together.
  package var refusedBytes = ByteCount.zero
  /// How long the delayed guests waited for their memory, in seconds: the median, the 99th
  /// percentile and the longest; nil without any.
  package var delays: (median: Double, high: Double, longest: Double)? {
    guard !waits.isEmpty else { return nil }
    let sorted = waits.sorted()
    func quantile(_ share: Double) -> Double {
      Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))])
    }
    return (quantile(0.5), quantile(0.99), Double(sorted[sorted.count - 1]))
  }
  var waits: [Float] = []
  /// The memory of guests, of all hosts together, as its mean over the time.
  package var usedMean = 0.0
  /// The ready memory of all hosts together, as its mean over the time.
  package var readyMean = 0.0
  /// Stranded ready memory: what was ready, in files too small or on other hosts, when a guest got
  /// none. The mean over those guests, and the most.
  package var strandedMean: Double {
    let count = delayed + refused
    return count == 0 ? 0 : strandedSum / Double(count)
  }
  package var strandedMost = ByteCount.zero
  var strandedSum = 0.0
  /// What each host would have to keep ready for 99 of 100 guests to find it, by size.
  package var suggestion: [FleetOptions.Level] = []
}
