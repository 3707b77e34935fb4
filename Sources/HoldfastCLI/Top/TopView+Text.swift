internal import HoldfastCore

extension TopView {
  /// A table with the heading in bold: the first column to the left and as narrow as the others
  /// require, the rest to the right.
  static func columns(_ table: [[String]], most: Int) -> [TerminalLine] {
    var widths = table[0].indices.map { column in table.map { $0[column].columns }.max() ?? 0 }
    let others = widths.dropFirst().reduce(0) { $0 + $1 + 2 }
    widths[0] = min(widths[0], max(5, most - others))
    return table.enumerated().map { index, row in
      let cells = zip(row, widths).enumerated().map { column, cell in
        cell.0.padded(to: cell.1, isRight: column > 0)
      }
      return TerminalLine(cells.joined(separator: "  "), index == 0 ? .bold : .plain)
    }
  }

  /// Bytes with at most one decimal: `512M`, `1.5G`.
  static func amount(_ bytes: ByteCount) -> String { amount(Double(bytes.rawValue)) }

  static func amount(_ bytes: Double) -> String {
    for (scale, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
      let value = bytes / Double(UInt64(1) << UInt64(scale))
      if value >= 1 { return number(value) + unit }
    }
    return number(bytes)
  }

  /// A number with one decimal below 100, where it is not whole.
  static func number(_ value: Double) -> String {
    value < 99.95 && (value * 10).rounded() != value.rounded() * 10
      ? decimal(value, places: 1) : grouped(UInt64(max(0, min(value, 1e15)).rounded()))
  }

  /// A duration in seconds: `2 s`, `0.5 s`.
  static func short(_ duration: Duration) -> String { number(duration.seconds) + " s" }

  /// An age in its two largest units: `5s`, `2m 03s`, `2h 03m`, `5d 02h`.
  static func age(_ seconds: Int64) -> String {
    let seconds = max(0, seconds)
    func two(_ number: Int64) -> String { (number < 10 ? "0" : "") + "\(number)" }
    if seconds < 60 { return "\(seconds)s" }
    if seconds < 3600 { return "\(seconds / 60)m \(two(seconds % 60))s" }
    if seconds < 86_400 { return "\(seconds / 3600)h \(two(seconds / 60 % 60))m" }
    return "\(seconds / 86_400)d \(two(seconds / 3600 % 24))h"
  }

  /// The help of the keys.
  static func help(columns: Int, rows: Int) -> [TerminalLine] {
    let text = [
      "q         quit", "p, space  pause, and go on", "?, h      show this help, and end it",
      "", "READY against WANTED: files that can be leased, and the level of the",
      "service's configuration. P50 and P99: half, and 99 of 100, took at most that",
      "long; the service counts durations by the bounds of its histograms.",
      "SINCE START: the first view has no other to compare with.",
    ]
    return text.prefix(rows).map { TerminalLine($0).clipped(to: columns) }
  }
}

extension Duration {
  /// A bound of a histogram: `50 µs`, `2.5 ms`, `30 s`.
  var boundText: String {
    for (unit, scale) in [("µs", 1e6), ("ms", 1e3)] where seconds * scale < 999.5 {
      return TopView.number(seconds * scale) + " " + unit
    }
    return TopView.number(seconds) + " s"
  }
}
