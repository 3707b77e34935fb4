/// A report on one to seven samples, as ministat(1) prints it.
///
/// Legend, plot, table, and under each sample after the first its comparison to the first:
///
///     x before
///     + after
///     +------------------------------------------------------------+
///     |x      *  x            *      +              + x           +|
///     | |________M__|___A____________M__A___________________|      |
///     +------------------------------------------------------------+
///         N           Min           Max        Median           Avg        Stddev
///     x   7            50           750           200           300     238.04761
///     +   5           150           930           500           540     299.08193
///     No difference proven at 95.0% confidence
///
/// Byte for byte the output of the ministat that Debian ships (20150715), except for the digits
/// where that program computes with less:
///
/// - Its t quantiles have three decimals, for more than 100 degrees of freedom are those of the
///   normal distribution, and at 99.5 % are those of 99.8 %. Here they are exact, so error bounds
///   differ in the fourth digit or, in the latter two cases, in the second.
/// - Its one-pass deviation cancels where a sample's offset is many times its spread.
/// - Where all values of a sample are equal, rounding can not lend it a deviation here.
/// - Samples that it crashes on (infinite values) or prints `nan` for are errors here.
public struct MinistatReport: Hashable, Sendable {
  /// A labelled sample. ministat takes the name of the file as the label.
  public struct Sample: Hashable, Sendable {
    /// What the legend calls the sample.
    public var label: String

    /// The values, in any order.
    public var values: [Double]

    /// A sample as given: ``MinistatReport/init(_:options:)`` checks its values.
    public init(label: String, values: [Double]) {
      self.label = label
      self.values = values
    }
  }

  /// What to print, and how. The defaults are those of ministat.
  public struct Options: Hashable, Sendable {
    /// The plot widths that can be asked for, in columns.
    public static let widths = 2...10_000

    /// The columns inside the box of the plot (`-w`).
    public var width = 74

    /// The confidence level of the comparisons (`-c`).
    public var confidence = Confidence.percent95

    /// The relative error of the comparisons; ministat has no option for it.
    public var relativeError = Comparison.RelativeError.scaledByBaseline

    /// A line of average, median and deviation for each sample instead of a common one (`-s`).
    public var separatesBars = false

    /// Whether to plot; false is `-A`.
    public var showsPlot = true

    /// Whether to compare; false, along with `showsPlot`, is `-n`.
    public var showsComparisons = true

    /// The defaults of ministat.
    public init() {}
  }

  /// The most samples in a report: one for each symbol.
  public static let largestSampleCount = MinistatPlot.symbols.count - 1

  /// The samples, as given.
  public let samples: [Sample]

  /// The options, as given.
  public let options: Options

  /// The summary of each sample.
  public let summaries: [SampleSummary]

  /// The comparison of each sample after the first to the first.
  public let comparisons: [Comparison]

  let plot: MinistatPlot

  /// Summarises and compares `samples`.
  ///
  /// - Throws: ``StatisticsError/unusableSampleCount(_:)`` for no samples or more than
  ///   ``largestSampleCount``, ``StatisticsError/widthOutOfRange(_:)``, and what
  ///   ``SampleSummary/init(_:)`` throws for a sample.
  /// - Complexity: O(*n* log *n*) in the number of values.
  public init(_ samples: [Sample], options: Options = Options()) throws(StatisticsError) {
    guard (1...Self.largestSampleCount).contains(samples.count) else {
      throw .unusableSampleCount(samples.count)
    }
    guard Options.widths.contains(options.width) else {
      throw .widthOutOfRange(options.width)
    }
    var series: [MinistatPlot.Series] = []
    for sample in samples {
      let sorted = try SampleSummary.sorted(sample.values)
      let summary = try SampleSummary(sample.values, sorted: sorted)
      series.append(MinistatPlot.Series(sorted: sorted, summary: summary))
    }
    let summaries = series.map(\.summary)
    self.samples = samples
    self.options = options
    self.summaries = summaries
    comparisons = summaries.dropFirst().map { candidate in
      Comparison(
        baseline: summaries[0], candidate: candidate, confidence: options.confidence,
        relativeError: options.relativeError)
    }
    plot = MinistatPlot(
      series: series, width: options.width, separatesBars: options.separatesBars)
  }
}
