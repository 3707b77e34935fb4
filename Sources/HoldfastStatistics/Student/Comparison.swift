/// Student's t test of a candidate against a baseline, as ministat(1) does it.
///
/// Both samples are taken to be normal with one common variance, estimated by the pooled standard
/// deviation s. The difference of the averages then has the error bound
///
///     t · s · √(1/N₁ + 1/N₂)
///
/// and is significant where it is larger than that.
public struct Comparison: Hashable, Sendable {
  /// How ``relativeErrorPercent`` is computed.
  public enum RelativeError: Hashable, Sendable {
    /// The error bound as a percentage of the baseline average: ministat until 2015, and the
    /// program that Debian ships. Close only where the averages are: it takes the baseline for
    /// exact. Negative for a negative baseline average, as ministat prints it.
    case scaledByBaseline

    /// The error of the ratio of the averages, with the spread of the baseline carried along:
    /// ministat since November 2016. Sound where the baseline average is well away from 0.
    case propagated
  }

  /// The sample compared to.
  public let baseline: SampleMoments

  /// The sample compared.
  public let candidate: SampleMoments

  /// The level of the test.
  public let confidence: Confidence

  /// The way in which ``relativeErrorPercent`` was computed.
  public let relativeError: RelativeError

  /// Average of the candidate less average of the baseline, in the unit of the values.
  public let difference: Double

  /// The half width of the confidence interval around ``difference``; 0 or more.
  public let errorBound: Double

  /// ``difference`` in percent of the baseline average; infinite or NaN where that is 0.
  public let relativePercent: Double

  /// The half width of the confidence interval around ``relativePercent``; infinite or NaN where
  /// the baseline average is 0.
  public let relativeErrorPercent: Double

  /// The pooled standard deviation s of both samples, in the unit of the values.
  public let pooledStandardDeviation: Double

  /// Whether the difference is proven: larger than its error bound.
  public var isSignificant: Bool { difference.magnitude > errorBound }

  /// Compares `candidate` to `baseline`.
  ///
  /// - Complexity: That of ``StudentT/quantile(_:)``, whatever the sizes of the samples.
  public init(
    baseline: SampleMoments, candidate: SampleMoments, confidence: Confidence = .percent95,
    relativeError: RelativeError = .scaledByBaseline
  ) {
    self.baseline = baseline
    self.candidate = candidate
    self.confidence = confidence
    self.relativeError = relativeError

    let baselineCount = Double(baseline.count)
    let candidateCount = Double(candidate.count)
    let student = StudentT(validDegreesOfFreedom: baseline.count + candidate.count - 2)
    let standardErrors =
      student.quantile(confidence) * (1 / baselineCount + 1 / candidateCount).squareRoot()

    difference = candidate.average - baseline.average
    pooledStandardDeviation = Self.pooled(
      (baseline.standardDeviation, baselineCount - 1),
      (candidate.standardDeviation, candidateCount - 1))
    errorBound = standardErrors * pooledStandardDeviation
    relativePercent = 100 * (difference / baseline.average)
    switch relativeError {
    case .scaledByBaseline:
      relativeErrorPercent = 100 * (errorBound / baseline.average)
    case .propagated:
      let ratio = candidate.average / baseline.average
      let spread = Self.pooled(
        (baseline.standardDeviation * ratio.magnitude, baselineCount - 1),
        (candidate.standardDeviation, candidateCount - 1))
      relativeErrorPercent = 100 * (standardErrors * spread / baseline.average.magnitude)
    }
  }

  /// Compares the samples that two summaries were made of.
  public init(
    baseline: SampleSummary, candidate: SampleSummary, confidence: Confidence = .percent95,
    relativeError: RelativeError = .scaledByBaseline
  ) {
    self.init(
      baseline: baseline.moments, candidate: candidate.moments, confidence: confidence,
      relativeError: relativeError)
  }

  /// The root of the average of the squares of two deviations, weighted.
  private static func pooled(
    _ left: (deviation: Double, weight: Double), _ right: (deviation: Double, weight: Double)
  ) -> Double {
    // The squares alone could leave the range of a double: scale by a power of two.
    let larger = max(left.deviation, right.deviation)
    guard larger.isFinite, larger > 0 else { return larger }
    let power = Int(larger.exponent)
    let first = left.deviation.scaled(byPowerOfTwo: -power)
    let second = right.deviation.scaled(byPowerOfTwo: -power)
    let sum = left.weight * first * first + right.weight * second * second
    return (sum / (left.weight + right.weight)).squareRoot().scaled(byPowerOfTwo: power)
  }
}
