internal import HoldfastCore
internal import HoldfastPlot

/// A plot of a run: three panels over the simulated time, in SVG, dark on light, or light on dark
/// where the viewer prefers that.
package struct SimulationPlot: Sendable {
  private let result: Simulation.Result

  /// A plot of a result.
  package init(_ result: Simulation.Result) {
    self.result = result
  }

  /// The plot as an SVG document.
  package var svg: String { chart.svg(width: 1000) }

  var chart: Chart {
    let all: [(Axis, String, [Chart.Series])] = [
      memory(), fragmentation(), wires(),
    ]
    return Chart(
      heading,
      panels: all.map { y, title, series in Chart.Panel(title, x: time.axis, y: y, series: series) }
    )
  }

  private func series(
    _ name: String, _ color: SVGColor, _ kind: Chart.Series.Kind = .line, dashes: String? = nil,
    _ value: (SimulationFigures.Sample) -> Double?
  ) -> Chart.Series {
    let samples = result.figures.samples
    return Chart.Series(
      name, kind, SeriesStyle(color, dashes: dashes), x: samples.map { $0.time / time.seconds },
      values: samples.map(value))
  }

  private func memory() -> (Axis, String, [Chart.Series]) {
    let (divisor, unit) = SimulationPlot.unit(for: result.options.memory)
    func memory(_ bytes: ByteCount) -> Double { Double(bytes.rawValue) / divisor }
    let total = memory(result.options.memory)
    return (
      Axis(unit, high: total, step: total / 4), "Memory, of \(result.options.memory)",
      [
        series("used", .blue, .area) { memory($0.used) },
        series("used or zeroed", .green, dashes: SeriesStyle.dashed) {
          memory($0.used + $0.zeroed)
        },
      ]
    )
  }

  private func fragmentation() -> (Axis, String, [Chart.Series]) {
    (
      Axis("% of free memory"), "Fragmentation: share of the free memory in blocks smaller than",
      [
        series("2 MiB", .orange) { 100 * $0.superpageFragmentation },
        series("1 GiB", .blue, dashes: SeriesStyle.dashed) { 100 * $0.largestFragmentation },
      ]
    )
  }

  private func wires() -> (Axis, String, [Chart.Series]) {
    // Shares of a whole, on each other, so that none hides another.
    (
      Axis("% of bytes wired", high: 100), "Share of the bytes wired, by page size",
      [
        series("1 GiB", .blue, .stackedBar) { percent($0.largestShare) },
        series("2 MiB", .lightBlue, .stackedBar) { sample in
          percent(sample.superpageShare.map { $0 - (sample.largestShare ?? 0) })
        },
        series("4 KiB", .orange, .stackedBar) { percent($0.superpageShare.map { 1 - $0 }) },
        series("zeroed ahead", .ink, .mark) { percent($0.zeroedShare) },
      ]
    )
  }

  private func percent(_ share: Double?) -> Double? { share.map { 100 * $0 } }

  private var heading: String {
    let options = result.options
    let guests = options.guests.map { ", \($0) guests at once" } ?? ""
    return "holdfast simulate: \(options.memory)\(guests), "
      + "\(options.pattern.rawValue) arrivals, seed \(options.seed)"
  }

  /// The axis of the simulated time, and the seconds of its unit.
  private var time: (axis: Axis, seconds: Double) {
    let duration = result.duration
    let (unit, seconds) =
      duration >= 2 * 86_400
      ? ("days", 86_400.0)
      : duration >= 7200 ? ("hours", 3600) : duration >= 120 ? ("minutes", 60) : ("seconds", 1)
    return (Axis("simulated time, \(unit)", low: 0, high: duration / seconds), seconds)
  }

  /// The largest unit of which the memory has at least two.
  private static func unit(for memory: ByteCount) -> (Double, String) {
    for (shift, name) in [(40, "TiB"), (30, "GiB")] where memory.rawValue >> UInt64(shift) >= 2 {
      return (Double(1 << shift), name)
    }
    return (1_048_576, "MiB")
  }
}
