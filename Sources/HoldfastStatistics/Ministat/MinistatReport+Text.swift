extension MinistatReport: CustomStringConvertible {
  /// The whole report; each line, the last included, ends in a newline.
  ///
  /// - Complexity: O(*n*) in the number of values, and in the size of the plot.
  public var text: String {
    lines.map { $0 + "\n" }.joined()
  }

  /// The same as ``text``.
  public var description: String { text }

  /// The lines of the report.
  private var lines: [String] {
    var lines = zip(Self.symbols, samples).map { "\($0) \($1.label)" }
    if options.showsPlot { lines += plot.lines }
    lines.append("    N           Min           Max        Median           Avg        Stddev")
    for (index, summary) in summaries.enumerated() {
      lines.append("\(Self.symbols[index]) \(Self.row(summary))")
      if options.showsComparisons, index > 0 {
        lines += Self.verdict(comparisons[index - 1])
      }
    }
    return lines
  }

  private static let symbols = MinistatPlot.symbols.dropFirst().map { String($0) }

  /// A row of the table, after its symbol.
  private static func row(_ summary: SampleSummary) -> String {
    let count = String(summary.count)
    let padding = String(repeating: " ", count: max(0, 3 - count.utf8.count))
    let figures = [
      summary.minimum, summary.maximum, summary.median, summary.average,
      summary.standardDeviation,
    ]
    return padding + count
      + figures.map { " " + generalFormat($0, precision: 8, width: 13) }.joined()
  }

  /// The paragraph on a difference, or the line that there is none.
  private static func verdict(_ comparison: Comparison) -> [String] {
    let level = "\(fixedFormat(comparison.confidence.percent, precision: 1))% confidence"
    guard comparison.isSignificant else { return ["No difference proven at \(level)"] }
    let difference = generalFormat(comparison.difference)
    let bound = generalFormat(comparison.errorBound)
    let percent = generalFormat(comparison.relativePercent)
    let percentBound = generalFormat(comparison.relativeErrorPercent)
    let pooled = generalFormat(comparison.pooledStandardDeviation)
    return [
      "Difference at \(level)",
      "\t\(difference) +/- \(bound)",
      "\t\(percent)% +/- \(percentBound)%",
      "\t(Student's t, pooled s = \(pooled))",
    ]
  }
}
