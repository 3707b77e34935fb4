import HoldfastStatistics
import Testing

struct ComparisonTests {
  /// A comparison that ministat printed in a review, from the figures of its table alone.
  ///
  /// ministat's quantile there is 2.101, not 2.100922: the bounds agree to that.
  @Test func review() throws {
    let comparison = Comparison(
      baseline: try SampleMoments(count: 10, average: 92.488651, standardDeviation: 18.554921),
      candidate: try SampleMoments(count: 10, average: 875.02305, standardDeviation: 80.788188),
      relativeError: .propagated)
    #expect((comparison.difference - 782.534).magnitude < 0.0005)
    #expect((comparison.pooledStandardDeviation - 58.6132).magnitude < 0.00005)
    #expect((comparison.relativePercent - 846.087).magnitude < 0.0005)
    #expect((comparison.errorBound * 2.101 / 2.1009220402 - 55.0727).magnitude < 0.00006)
    #expect((comparison.relativeErrorPercent * 2.101 / 2.1009220402 - 138.817).magnitude < 0.0006)
    #expect(comparison.isSignificant)
  }

  @Test func relativeErrorOfOlderMinistat() throws {
    let comparison = Comparison(
      baseline: try SampleSummary([-9, -10, -11]), candidate: try SampleSummary([9, 10, 11]))
    #expect(comparison.relativePercent == -200)
    #expect((comparison.relativeErrorPercent + 22.6695).magnitude < 0.001)
  }

  /// ministat takes unequal sizes into account in the pooled deviation of the ratio.
  @Test func propagatedErrorOfUnequalSizes() throws {
    let comparison = Comparison(
      baseline: try SampleMoments(count: 7, average: 300, standardDeviation: 238.04761),
      candidate: try SampleMoments(count: 5, average: 540, standardDeviation: 299.08193),
      confidence: .percent80, relativeError: .propagated)
    let t = try StudentT(degreesOfFreedom: 10).quantile(.percent80)
    let squares = 4 * 299.08193 * 299.08193 + 6 * 238.04761 * 238.04761 * (540 * 540) / (300 * 300)
    let expected = t * (squares * 12 / (35 * 10)).squareRoot() * 100 / 300
    #expect((comparison.relativeErrorPercent / expected - 1).magnitude < 1e-12)
  }

  @Test func equalSamplesDoNotDiffer() throws {
    let same = try SampleSummary([5, 5, 5])
    #expect(!Comparison(baseline: same, candidate: same).isSignificant)
    let other = Comparison(baseline: same, candidate: try SampleSummary([7, 7, 7]))
    #expect(other.isSignificant)
    #expect(other.errorBound == 0)
  }

  @Test(arguments: [Comparison.RelativeError.scaledByBaseline, .propagated])
  func baselineOfZeroDoesNotTrap(relativeError: Comparison.RelativeError) throws {
    let zero = try SampleSummary([0, 0, 0])
    for values in [[0.0, 0, 0], [-1, 0, 1], [5, 5, 5], [1e300, -1e300, 1e300]] {
      let comparison = Comparison(
        baseline: zero, candidate: try SampleSummary(values), relativeError: relativeError)
      #expect(!comparison.relativePercent.isFinite)
    }
  }

  @Test func largestMomentsStayFinite() throws {
    let count = 1 << 53
    let comparison = Comparison(
      baseline: try SampleMoments(count: count, average: -1e300, standardDeviation: 1e300),
      candidate: try SampleMoments(count: count, average: 1e300, standardDeviation: 1e300))
    #expect(comparison.difference == 2e300)
    #expect((comparison.pooledStandardDeviation / 1e300 - 1).magnitude < 1e-15)
    #expect(comparison.isSignificant)
  }

  @Test func refusals() {
    for count in [Int.min, 0, 2, .max] {
      #expect(throws: StatisticsError.unusableCount(count)) {
        try SampleMoments(count: count, average: 1, standardDeviation: 1)
      }
    }
    for (average, deviation) in [(Double.nan, 1.0), (.infinity, 1), (1, .nan), (1, -1), (1, 1e301)]
    {
      #expect(throws: StatisticsError.unusableMoments) {
        try SampleMoments(count: 3, average: average, standardDeviation: deviation)
      }
    }
  }
}
