internal import HoldfastCore

/// A plot of a run: three panels over the simulated time, in SVG, dark on light.
package struct SimulationPlot: Sendable {
  private let result: Simulation.Result

  /// A plot of a result.
  package init(_ result: Simulation.Result) {
    self.result = result
  }

  /// A line of a panel; a nil is a gap.
  struct Series {
    var name: String
    var color: String
    var isDashed = false
    /// Whether the area below is filled.
    var isFilled = false
    var values: [Double?]
  }

  /// A diagram with its own vertical axis.
  struct Panel {
    var title: String
    var unit: String
    /// The upper end of the axis, unless a value exceeds it; nil for the largest value.
    var top: Double?
    /// The distance between the numbers on the axis; nil for round numbers.
    var step: Double?
    var series: [Series]
  }

  private static let blue = "#0072b2"
  private static let orange = "#d55e00"
  private static let green = "#007a5e"
  private static let grey = "#555555"

  /// The plot as an SVG document.
  package var svg: String {
    let samples = result.figures.samples
    let (divisor, unit) = SimulationPlot.unit(for: result.options.memory)
    func memory(_ bytes: ByteCount) -> Double { Double(bytes.rawValue) / divisor }
    let total = memory(result.options.memory)
    let panels = [
      Panel(
        title: "Memory", unit: unit, top: total, step: total / 4,
        series: [
          Series(
            name: "used", color: SimulationPlot.blue, isFilled: true,
            values: samples.map { memory($0.used) }),
          Series(
            name: "used or zeroed", color: SimulationPlot.green, isDashed: true,
            values: samples.map { memory($0.used + $0.zeroed) }),
          Series(
            name: "all", color: SimulationPlot.grey, values: samples.map { _ in total }),
        ]),
      Panel(
        title: "Fragmentation: share of the free memory in blocks smaller than", unit: "%",
        top: nil, step: nil,
        series: [
          Series(
            name: "2 MiB", color: SimulationPlot.orange,
            values: samples.map { 100 * $0.superpageFragmentation }),
          Series(
            name: "1 GiB", color: SimulationPlot.blue, isDashed: true,
            values: samples.map { 100 * $0.largestFragmentation }),
        ]),
      Panel(
        title: "Share of the bytes wired", unit: "%", top: 100, step: nil,
        series: [
          Series(
            name: "in superpages", color: SimulationPlot.blue,
            values: samples.map { $0.superpageShare.map { 100 * $0 } }),
          Series(
            name: "in the largest", color: SimulationPlot.green,
            values: samples.map { $0.largestShare.map { 100 * $0 } }),
          Series(
            name: "in frames zeroed ahead", color: SimulationPlot.orange, isDashed: true,
            values: samples.map { $0.zeroedShare.map { 100 * $0 } }),
        ]),
    ]
    var drawing = SVGDrawing(times: samples.map(\.time), duration: result.duration)
    drawing.heading = heading
    return drawing.document(panels)
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
