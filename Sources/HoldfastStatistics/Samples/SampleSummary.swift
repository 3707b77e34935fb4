/// The figures that ministat(1) prints of one sample.
public struct SampleSummary: Hashable, Sendable {
  /// The smallest value.
  public let minimum: Double

  /// The largest value.
  public let maximum: Double

  /// The middle value; for an even N the upper one of the two in the middle.
  ///
  /// Later editions of ministat average those two. The one that Debian ships does not, and a
  /// median that is one of the measured values is kept here for the same output.
  public let median: Double

  /// The count, the average and the sample standard deviation.
  public let moments: SampleMoments

  /// The number of values, N.
  public var count: Int { moments.count }

  /// The arithmetic mean, in the unit of the values.
  public var average: Double { moments.average }

  /// The sample standard deviation (divisor N - 1), in the unit of the values.
  public var standardDeviation: Double { moments.standardDeviation }

  /// Summarises `values`, in any order.
  ///
  /// The deviation is computed in two passes around the average, so that it holds for values with
  /// a large common offset, where ministat's own one-pass sum of squares cancels and may print 0
  /// or `-nan`. Equal values have that value as average and a deviation of exactly 0.
  ///
  /// - Throws: ``StatisticsError/unusableCount(_:)`` for fewer than
  ///   ``SampleMoments/minimumCount`` values, ``StatisticsError/unusableValue(index:)`` for one
  ///   that is NaN, infinite or past ±``SampleMoments/largestMagnitude``.
  /// - Complexity: O(*n* log *n*) in the number of values.
  public init(_ values: [Double]) throws(StatisticsError) {
    try self.init(values, sorted: Self.sorted(values))
  }

  /// Summarises `values`, given the same ones in ascending order.
  ///
  /// The average is within the values also where their sum rounds, as it does for ministat.
  init(_ values: [Double], sorted: [Double]) throws(StatisticsError) {
    guard values.count >= SampleMoments.minimumCount else { throw .unusableCount(values.count) }
    minimum = sorted[0]
    maximum = sorted[sorted.count - 1]
    median = sorted[sorted.count / 2]
    let count = Double(values.count)
    guard minimum < maximum else {
      moments = SampleMoments(
        validCount: values.count, average: minimum, standardDeviation: 0)
      return
    }
    let average = min(max(minimum, Self.sum(values) / count), maximum)
    moments = SampleMoments(
      validCount: values.count, average: average,
      standardDeviation: Self.standardDeviation(of: values, around: average))
  }

  /// The sum, with what each addition rounds off added at the end (Neumaier).
  private static func sum(_ values: [Double]) -> Double {
    var sum = 0.0
    var lost = 0.0
    for value in values {
      let next = sum + value
      lost += sum.magnitude >= value.magnitude ? (sum - next) + value : (value - next) + sum
      sum = next
    }
    return sum + lost
  }

  /// `values` in ascending order, once all of them are known to be usable.
  static func sorted(_ values: [Double]) throws(StatisticsError) -> [Double] {
    // Not `>`: a NaN compares false to everything and must be caught here.
    for (index, value) in values.enumerated()
    where !(value.magnitude <= SampleMoments.largestMagnitude) {
      throw .unusableValue(index: index)
    }
    return values.sorted()
  }

  /// The sample standard deviation of `values`, whose average is `average` but for rounding.
  private static func standardDeviation(of values: [Double], around average: Double) -> Double {
    // Squares of the largest and the smallest doubles leave the range: scale by a power of two.
    let largest = values.reduce(0) { max($0, ($1 - average).magnitude) }
    guard largest > 0 else { return 0 }
    let power = Int(largest.exponent)
    var sum = 0.0
    var sumOfSquares = 0.0
    for value in values {
      let deviation = (value - average).scaled(byPowerOfTwo: -power)
      sum += deviation
      sumOfSquares += deviation * deviation
    }
    let count = Double(values.count)
    // `sum` is 0 but for the rounding of `average`; taking it out corrects for that.
    let variance = max(0, sumOfSquares - sum * sum / count) / (count - 1)
    return variance.squareRoot().scaled(byPowerOfTwo: power)
  }
}
