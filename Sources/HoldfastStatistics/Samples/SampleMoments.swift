/// The count, average and standard deviation of a sample: all that a comparison needs of it.
///
/// Taken from a ``SampleSummary``, or built from published numbers where the values are gone.
public struct SampleMoments: Hashable, Sendable {
  /// The fewest values in a usable sample. ministat(1) refuses fewer as well.
  public static let minimumCount = 3

  /// The largest magnitude of a value. The distance to the largest `Double` keeps sums, spans and
  /// differences of values finite.
  public static let largestMagnitude = 1e300

  /// The number of values, N.
  public let count: Int

  /// The arithmetic mean, in the unit of the values.
  public let average: Double

  /// The sample standard deviation (divisor N - 1), in the unit of the values; never negative.
  public let standardDeviation: Double

  /// Moments from known numbers.
  ///
  /// - Throws: ``StatisticsError/unusableCount(_:)`` for a count below ``minimumCount`` or above
  ///   2^53, ``StatisticsError/unusableMoments`` for an average or deviation that is not a number
  ///   within ±``largestMagnitude``, or for a negative deviation.
  public init(
    count: Int, average: Double, standardDeviation: Double
  ) throws(StatisticsError) {
    guard count >= Self.minimumCount, count <= 1 << 53 else { throw .unusableCount(count) }
    guard average.magnitude <= Self.largestMagnitude,
      standardDeviation >= 0, standardDeviation <= Self.largestMagnitude
    else { throw .unusableMoments }
    self.init(validCount: count, average: average, standardDeviation: standardDeviation)
  }

  /// Moments that are known to satisfy the conditions of the public initializer.
  init(validCount count: Int, average: Double, standardDeviation: Double) {
    self.count = count
    self.average = average
    self.standardDeviation = standardDeviation
  }
}

extension Double {
  /// This value times 2^`power`: exact, unless the result leaves the normal range.
  func scaled(byPowerOfTwo power: Int) -> Double {
    Double(sign: .plus, exponent: power, significand: self)
  }
}
