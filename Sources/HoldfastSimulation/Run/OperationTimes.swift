/// What a run takes the time of.
public enum Operation: String, CaseIterable, Sendable {
  /// Mapping and wiring all of a new guest's memory.
  case wire
  /// Unwiring a guest that is to be forked, for wired pages would be copied at once.
  case unwire
  /// Forking a guest.
  case fork
  /// Making one base page resident, or copying it.
  case fault
  /// Unmapping all of a guest's memory, which frees what nobody else has.
  case free
}

/// The durations of many operations of a kind: their number, sum and quantiles, in nanoseconds.
///
/// Kept in buckets of which 32 make a doubling, so that a quantile is at most 3 % above the true one.
public struct OperationTimes: Sendable {
  public private(set) var count: UInt64 = 0
  public private(set) var total: UInt64 = 0
  public private(set) var longest: UInt64 = 0
  private var buckets = [UInt64](repeating: 0, count: (64 - 5 + 1) * 32)

  public init() {}

  private static func bucket(_ value: UInt64) -> Int {
    guard value >= 32 else { return Int(value) }
    let shift = UInt64(63 - 5 - value.leadingZeroBitCount)
    return Int(shift + 1) * 32 + Int(value >> shift) - 32
  }

  /// The largest value of a bucket.
  private static func upperBound(_ bucket: Int) -> UInt64 {
    guard bucket >= 64 else { return UInt64(bucket) }
    let shift = UInt64(bucket / 32 - 1)
    return UInt64(bucket % 32 + 32) << shift | ((1 << shift) - 1)
  }

  public mutating func add(_ nanoseconds: UInt64) {
    count += 1
    total += nanoseconds
    longest = max(longest, nanoseconds)
    buckets[OperationTimes.bucket(nanoseconds)] += 1
  }

  /// The mean in nanoseconds, nil of none.
  public var mean: Double? { count == 0 ? nil : Double(total) / Double(count) }

  /// What so many of the values, as a share from 0 to 1, do not pass; in nanoseconds, nil of none.
  public func quantile(_ share: Double) -> UInt64? {
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
