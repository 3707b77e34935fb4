/// The plot of ministat(1): a box with the values of each sample stacked over a common axis, and
/// below them a bar over average ± deviation, with M at the median and A at the average.
struct MinistatPlot: Hashable, Sendable {
  /// One sample.
  struct Series {
    /// The values in ascending order; not empty.
    let sorted: [Double]

    let summary: SampleSummary
  }

  /// The character of each sample, from 1 on; 0 is an empty cell.
  ///
  /// Cells that several samples share show the bitwise or of their numbers: x (1) and + (2) make
  /// a * (3), which is the character of the third sample too.
  static let symbols: [Character] = [" ", "x", "+", "*", "%", "#", "@", "O"]

  /// The lines, frame included.
  let lines: [String]

  /// Plots up to seven `series` on `width` columns, 2 or more.
  init(series: [Series], width: Int, separatesBars: Bool) {
    guard let axis = Axis(series.map(\.summary), width: width) else {
      lines = ["[no plot, span is zero width]"]
      return
    }
    var cells: [[UInt8]] = []
    var bars: [[Character]] = []
    for (index, series) in series.enumerated() {
      Self.stack(series.sorted, number: index + 1, on: axis, into: &cells)
      if separatesBars || bars.isEmpty {
        bars.append(Array(repeating: " ", count: width))
      }
      Self.draw(series.summary, on: axis, into: &bars[bars.count - 1])
    }
    let frame = "+\(String(repeating: "-", count: width))+"
    let rows = cells.reversed().map { row in row.map { Self.symbols[Int($0)] } } + bars
    lines = [frame] + rows.map { "|\(String($0))|" } + [frame]
  }

  /// Stacks one sample's values from the bottom row, `cells[0]`, up.
  ///
  /// Afterwards there are just as many rows as this sample is high. Cutting off what a taller
  /// sample left above is what ministat does: the last sample decides the height of the plot, and
  /// a lower one in between wipes higher values of those before it.
  private static func stack(
    _ sorted: [Double], number: Int, on axis: Axis, into cells: inout [[UInt8]]
  ) {
    var height = 0
    var top = 0
    var previous = -1
    for value in sorted {
      let column = axis.column(value)
      height = column == previous ? height + 1 : 1
      previous = column
      top = max(top, height)
      if cells.count < height {
        cells.append(Array(repeating: 0, count: axis.width))
      }
      cells[height - 1][column] |= UInt8(number)
    }
    cells.removeLast(cells.count - top)
  }

  /// Draws one sample's bar over those of earlier samples on the same line.
  private static func draw(_ summary: SampleSummary, on axis: Axis, into bar: inout [Character]) {
    let left = axis.column(summary.average - summary.standardDeviation)
    let right = axis.column(summary.average + summary.standardDeviation)
    for column in left...max(left, right) where bar[column] == " " {
      bar[column] = "_"
    }
    bar[left] = "|"
    bar[right] = "|"
    bar[axis.column(summary.median)] = "M"
    bar[axis.column(summary.average)] = "A"
  }
}

extension MinistatPlot {
  /// The mapping of values to columns.
  private struct Axis {
    let width: Int
    private let origin: Double
    private let step: Double
    private let power: Int

    /// The axis on which every value and every bar of `summaries` fits; nil where all of them are
    /// at one place.
    init?(_ summaries: [SampleSummary], width: Int) {
      var low = Double.infinity
      var high = -Double.infinity
      for summary in summaries {
        low = min(low, summary.minimum, summary.average - summary.standardDeviation)
        high = max(high, summary.maximum, summary.average + summary.standardDeviation)
      }
      guard low < high else { return nil }
      self.width = width
      // The step of a span close to the smallest double would round to 0.
      power = high - low < 1e-280 ? 512 : 0
      low = low.scaled(byPowerOfTwo: power)
      high = high.scaled(byPowerOfTwo: power)
      // The extremes are the centres of the outer columns. Same operations as ministat's, in the
      // same order: values on the border of two columns fall by the last bit.
      step = (high - low) / Double(width - 1)
      origin = low - 0.5 * step
    }

    func column(_ value: Double) -> Int {
      let position = (value.scaled(byPowerOfTwo: power) - origin) / step
      return Int(min(max(position, 0), Double(width - 1)))
    }
  }
}
