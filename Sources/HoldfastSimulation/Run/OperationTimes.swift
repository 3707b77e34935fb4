/// The durations of many operations of a kind: their number, sum and quantiles, in nanoseconds.
///
/// A histogram with 32 buckets for each doubling, so that a quantile is at most 3 % above the true
/// one.
package struct OperationTimes: Sendable {
  /// The number of durations.
  package private(set) var count: UInt64 = 0
  /// The sum of the durations in nanoseconds.
  package private(set) var total: UInt64 = 0
  /// The longest duration in nanoseconds.
  package private(set) var longest: UInt64 = 0
  private var buckets = [UInt64](repeating: 0, count: (64 - 5 + 1) * 32)

  /// No durations.
  package init() {}

  /// The bucket of a duration.
  private static func bucket(_ value: UInt64) -> Int {
    guard value >= 32 else { return Int(value) }
    let shift = UInt64(63 - 5 - value.leadingZeroBitCount)
    return Int(shift + 1) * 32 + Int(value >> shift) - 32
  }

  /// The longest duration of a bucket.
  private static func upperBound(_ bucket: Int) -> UInt64 {
    guard bucket >= 64 else { return UInt64(bucket) }
    let shift = UInt64(bucket / 32 - 1)
    return UInt64(bucket % 32 + 32) << shift | ((1 << shift) - 1)
  }

  /// Adds a duration.
  package mutating func add(_ nanoseconds: UInt64) {
    count += 1
    total += nanoseconds
    longest = max(longest, nanoseconds)
    buckets[OperationTimes.bucket(nanoseconds)] += 1
  }

  /// The mean in nanoseconds; nil without durations.
  package var mean: Double? { count == 0 ? nil : Double(total) / Double(count) }

  /// The duration in nanoseconds that a share of the durations, from 0 to 1, does not exceed; nil
  /// without durations.
  package func quantile(_ share: Double) -> UInt64? {
    guard count > 0 else { return nil }
    let rank = max(1, UInt64((share * Double(count)).rounded(.up)))
    var seen: UInt64 = 0
    for (index, bucket) in buckets.enumerated() {
      seen += bucket
      if seen >= rank { return min(longest, OperationTimes.upperBound(index)) }
    }
    return longest
  }
}
