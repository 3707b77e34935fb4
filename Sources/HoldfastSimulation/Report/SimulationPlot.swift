internal import HoldfastCore

/// A plot of a run: three panels over the simulated time, in SVG, dark on light, or light on dark
/// where the viewer prefers that.
package struct SimulationPlot: Sendable {
  private let result: Simulation.Result

  /// A plot of a result.
  package init(_ result: Simulation.Result) {
    self.result = result
  }

  /// Values of a panel, one for each time; a nil is a gap.
  struct Series {
    /// How the values are drawn.
    enum Style {
      /// A line from value to value.
      case line
      /// The same, dashed, so that a line below remains visible.
      case dashed
      /// A line with the area below.
      case area
      /// A bar around each time, on those of the series before.
      case bar
      /// A short line around each time, across the bars.
      case mark
    }

    var name: String
    var color: SVGColor
    var style = Style.line
    var values: [Double?]
  }

  /// A diagram with its own vertical axis.
  struct Panel {
    var title: String
    /// The name of the vertical axis, with its unit.
    var axis: String
    /// The upper end of the axis, unless a value exceeds it; nil for the largest value.
    var top: Double?
    /// The distance between the numbers on the axis; nil for round numbers.
    var step: Double?
    var series: [Series]
  }

  /// The plot as an SVG document.
  package var svg: String {
    let samples = result.figures.samples
    var drawing = SVGDrawing(times: samples.map(\.time), duration: result.duration)
    drawing.heading = heading
    return drawing.document([memory(samples), fragmentation(samples), wires(samples)])
  }

  private func memory(_ samples: [SimulationFigures.Sample]) -> Panel {
    let (divisor, unit) = SimulationPlot.unit(for: result.options.memory)
    func memory(_ bytes: ByteCount) -> Double { Double(bytes.rawValue) / divisor }
    let total = memory(result.options.memory)
    return Panel(
      title: "Memory, of \(result.options.memory)", axis: unit, top: total, step: total / 4,
      series: [
        Series(name: "used", color: .blue, style: .area, values: samples.map { memory($0.used) }),
        Series(
          name: "used or zeroed", color: .green, style: .dashed,
          values: samples.map { memory($0.used + $0.zeroed) }),
      ])
  }

  private func fragmentation(_ samples: [SimulationFigures.Sample]) -> Panel {
    Panel(
      title: "Fragmentation: share of the free memory in blocks smaller than",
      axis: "% of free memory", top: nil, step: nil,
      series: [
        Series(
          name: "2 MiB", color: .orange, values: samples.map { 100 * $0.superpageFragmentation }),
        Series(
          name: "1 GiB", color: .blue, style: .dashed,
          values: samples.map { 100 * $0.largestFragmentation }),
      ])
  }

  private func wires(_ samples: [SimulationFigures.Sample]) -> Panel {
    func percent(_ share: (SimulationFigures.Sample) -> Double?) -> [Double?] {
      samples.map { share($0).map { 100 * $0 } }
    }
    // Shares of a whole, on each other, so that none hides another.
    return Panel(
      title: "Share of the bytes wired, by page size", axis: "% of bytes wired", top: 100,
      step: nil,
      series: [
        Series(name: "1 GiB", color: .blue, style: .bar, values: percent { $0.largestShare }),
        Series(
          name: "2 MiB", color: .lightBlue, style: .bar,
          values: percent { sample in
            sample.superpageShare.map { $0 - (sample.largestShare ?? 0) }
          }),
        Series(
          name: "4 KiB", color: .orange, style: .bar,
          values: percent { sample in sample.superpageShare.map { 1 - $0 } }),
        Series(
          name: "zeroed ahead", color: .ink, style: .mark, values: percent { $0.zeroedShare }),
      ])
  }

  private var heading: String {
    let options = result.options
    let guests = options.guests.map { ", \($0) guests at once" } ?? ""
    return "holdfast simulate: \(options.memory)\(guests), "
      + "\(options.pattern.rawValue) arrivals, seed \(options.seed)"
  }

  /// The largest unit of which the memory has at least two.
  private static func unit(for memory: ByteCount) -> (Double, String) {
    for (shift, name) in [(40, "TiB"), (30, "GiB")] where memory.rawValue >> UInt64(shift) >= 2 {
      return (Double(1 << shift), name)
    }
    return (1_048_576, "MiB")
  }
}
