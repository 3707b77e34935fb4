/// How much longer one way takes than another, run by run: both were measured in each run, so what
/// slows a whole run down does not count.
public struct PairedRatio: Hashable, Sendable {
  /// The median of the runs' ratios.
  public let median: Double
  /// The smallest ratio.
  public let smallest: Double
  /// The largest ratio.
  public let largest: Double

  /// The candidate's seconds over the baseline's; nil without runs, or where the numbers of runs
  /// differ.
  init?(baseline: [Double], candidate: [Double]) {
    guard baseline.count == candidate.count, baseline.allSatisfy({ $0 > 0 }) else { return nil }
    let ratios = zip(candidate, baseline).map { $0 / $1 }.sorted()
    guard let median = HoldfastBench.median(ratios), median > 0 else { return nil }
    self.median = median
    smallest = ratios[0]
    largest = ratios[ratios.count - 1]
  }

  private init(median: Double, smallest: Double, largest: Double) {
    self.median = median
    self.smallest = smallest
    self.largest = largest
  }

  /// The ratio of the speeds instead of the times.
  var inverted: PairedRatio {
    PairedRatio(median: 1 / median, smallest: 1 / largest, largest: 1 / smallest)
  }

  /// `1.23 times as long as B (1.10 to 1.41)`, or for a faster candidate
  /// `4.05 times less time than B (3.90 to 4.11)`.
  func text(than baseline: String) -> String {
    let shown = median >= 1 ? self : inverted
    return "\(number(shown.median)) times "
      + (median >= 1 ? "as long as \(baseline)" : "less time than \(baseline)") + shown.spread
  }

  /// The smallest and the largest in parentheses, if there are several.
  var spread: String {
    smallest == largest ? "" : " (\(number(smallest)) to \(number(largest)))"
  }
}
