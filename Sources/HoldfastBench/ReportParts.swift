internal import HoldfastStatistics

// What reports of benchmarks have in common.

/// ministat's plot and table of some times, in milliseconds, the baseline first; nil where they are too few.
/// Relative errors are those of today's ministat, which takes the spread of both samples into account.
func ministatBox(_ samples: [(label: String, seconds: [Double])]) -> String? {
  var options = MinistatReport.Options()
  options.relativeError = .propagated
  let samples = samples.map { label, seconds in
    MinistatReport.Sample(label: "\(label) (milliseconds)", values: seconds.map { $0 * 1000 })
  }
  guard let text = (try? MinistatReport(samples, options: options))?.text else { return nil }
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

/// Rows of as many cells as the first one, in columns: the first to the left, the others to the right.
func aligned(_ rows: [[String]]) -> String {
  let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  return rows.map { row in
    zip(row, widths).enumerated().map { column, cell in
      let padding = String(repeating: " ", count: cell.1 - cell.0.count)
      return column == 0 ? cell.0 + padding : padding + cell.0
    }.joined(separator: "  ")
  }.joined(separator: "\n")
}
