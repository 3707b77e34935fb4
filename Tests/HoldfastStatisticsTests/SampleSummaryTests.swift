import HoldfastStatistics
import Testing

struct SampleSummaryTests {
  @Test func figures() throws {
    let summary = try SampleSummary([50, 200, 150, 400, 750, 400, 150])
    #expect(summary.count == 7)
    #expect(summary.minimum == 50)
    #expect(summary.maximum == 750)
    #expect(summary.median == 200)
    #expect(summary.average == 300)
    #expect((summary.standardDeviation - 238.04761428476167).magnitude < 1e-9)
  }

  /// The sum of large values rounds, and the average of equal halves must not leave them.
  @Test func theAverageIsWithinTheValues() throws {
    let values = [Double](repeating: 1e15 + 0.125, count: 7) + [1e15]
    let summary = try SampleSummary(values)
    #expect(summary.average >= summary.minimum && summary.average <= summary.maximum)
    // Seven eighths of 0.125, to the precision of the numbers.
    #expect(summary.average == 1e15 + 0.125)
    #expect(try SampleSummary([1e300, 1e300, 1e300.nextDown]).average <= 1e300)
    // What each addition loses counts: these add up to 2.
    #expect(try SampleSummary([1, 1e100, 1, -1e100]).average == 0.5)
  }

  @Test func evenCountHasTheUpperMedian() throws {
    #expect(try SampleSummary([16, 1, 9, 4]).median == 9)
  }

  @Test(arguments: [0.1, 5, -1e300, .leastNonzeroMagnitude, 0])
  func equalValuesHaveNoDeviation(value: Double) throws {
    let summary = try SampleSummary([value, value, value])
    #expect(summary.average == value)
    #expect(summary.standardDeviation == 0)
  }

  @Test(arguments: [1, 1e-300, 1e299, 1e-10])
  func deviationHoldsAtEveryScale(scale: Double) throws {
    let summary = try SampleSummary([1 * scale, 2 * scale, 3 * scale])
    #expect((summary.standardDeviation / scale - 1).magnitude < 1e-14)
  }

  @Test func deviationHoldsAtALargeOffset() throws {
    let summary = try SampleSummary([1_000_000_001, 1_000_000_002, 1_000_000_003])
    #expect(summary.standardDeviation == 1)
  }

  @Test func refusals() {
    #expect(throws: StatisticsError.unusableCount(0)) { try SampleSummary([]) }
    #expect(throws: StatisticsError.unusableCount(1)) { try SampleSummary([1]) }
    #expect(throws: StatisticsError.unusableCount(2)) { try SampleSummary([1, 2]) }
    for bad in [Double.nan, .infinity, -.infinity, 1.1e300] {
      #expect(throws: StatisticsError.unusableValue(index: 1)) {
        try SampleSummary([1, bad, 2, 3])
      }
    }
  }
}
