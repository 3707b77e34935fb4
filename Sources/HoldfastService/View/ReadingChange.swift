/// What a service did between two readings of its metrics.
package struct ReadingChange: Hashable, Sendable {
  /// The time between the readings, or since the start of a service that started in between.
  package let seconds: Double
  package let counters: [ServiceReading.Counter: UInt64]
  package let durations: [ServiceReading.Timed: ServiceReading.Durations]
  package let failures: [ServiceReading.Failure: UInt64]

  /// Subtracts the sums of a reading from those of a later one.
  ///
  /// A service that has started again counts from 0, which its start time shows, or a sum that is
  /// smaller than before. Then all of the later sums have been counted since.
  ///
  /// - Parameter seconds: the time between the readings.
  /// - Complexity: O(sums)
  package init(from before: ServiceReading, to after: ServiceReading, seconds: Double) {
    self.seconds = seconds
    let isRestart = before.started != after.started || Self.isSmaller(after, before)
    let before = isRestart ? ServiceReading() : before
    var counters: [ServiceReading.Counter: UInt64] = [:]
    for (counter, sum) in after.counters {
      counters[counter] = sum &- (before.counters[counter] ?? 0)
    }
    self.counters = counters
    var failures: [ServiceReading.Failure: UInt64] = [:]
    for (failure, count) in after.failures {
      let more = count &- (before.failures[failure] ?? 0)
      if more > 0 { failures[failure] = more }
    }
    self.failures = failures
    var durations: [ServiceReading.Timed: ServiceReading.Durations] = [:]
    for (timed, later) in after.durations {
      durations[timed] = later.subtracting(before.durations[timed])
    }
    self.durations = durations
  }

  /// Whether a number of operations became smaller. Sums of bytes may wrap around, so they do not
  /// decide.
  private static func isSmaller(_ after: ServiceReading, _ before: ServiceReading) -> Bool {
    before.durations.contains { timed, durations in
      (after.durations[timed]?.count ?? 0) < durations.count
    } || before.failures.contains { (after.failures[$0] ?? 0) < $1 }
      || (after.counters[.released] ?? 0) < (before.counters[.released] ?? 0)
      || (after.counters[.removed] ?? 0) < (before.counters[.removed] ?? 0)
  }

  /// A number of this time as a number per second.
  package func rate(_ count: UInt64) -> Double { seconds > 0 ? Double(count) / seconds : 0 }
}

extension ServiceReading.Durations {
  /// The durations since an earlier histogram with the same bounds; all of them where the bounds
  /// differ.
  fileprivate func subtracting(_ before: Self?) -> Self {
    guard let before, before.bounds == bounds, before.counts.count == counts.count else {
      return self
    }
    var result = self
    for (index, count) in before.counts.enumerated() {
      result.counts[index] -= min(count, counts[index])
    }
    result.count -= min(before.count, count)
    result.sum = max(0, sum - before.sum)
    return result
  }
}
