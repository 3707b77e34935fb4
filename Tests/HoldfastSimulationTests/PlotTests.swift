import HoldfastCore
import HoldfastPlot
import HoldfastTestKit
import Testing

@testable import HoldfastSimulation

struct PlotTests {
  private func read(_ svg: String) -> SVGReader {
    let reader = SVGReader(svg)
    #expect(reader.error == nil)
    return reader
  }

  @Test(arguments: [SimulationOptions.Pattern.steady, .bursts])
  func `the plot is XML with titles, units, legends and lines`(
    pattern: SimulationOptions.Pattern
  ) throws {
    var simulation = Simulation(smallOptions(pattern: pattern), clock: countingClock())
    let reader = read(SimulationPlot(simulation.run()).svg)
    #expect(reader.count("svg") == 1)
    for text in [
      "holdfast simulate: 2 GiB, 12 guests at once, \(pattern.rawValue) arrivals, seed 1",
      "Memory, of 2 GiB", "GiB", "Share of the bytes wired, by page size", "% of bytes wired",
      "% of free memory", "used", "used or zeroed", "2 MiB", "1 GiB", "4 KiB", "zeroed ahead",
      "0.5", "2.0", "6", "100",
    ] {
      #expect(reader.texts.contains(text), "\(text): \(reader.texts)")
    }
    // Each panel has its own time axis with the unit.
    #expect(reader.texts.count { $0 == "simulated time, hours" } == 3)
    // An area, four lines, the marks, bars of one size at least, and five samples in the legends.
    #expect((12...14).contains(reader.paths.count), "\(reader.paths.count)")
    #expect(reader.paths.allSatisfy { !$0.contains("nan") && !$0.contains("inf") })
    #expect(reader.boxes.allSatisfy { $0.left >= 0 && $0.right <= 1000 })
    #expect(reader.overlaps == [])
  }

  /// Lines are of the shares between samples, of which some have no wires.
  @Test func `samples without wires are gaps`() throws {
    var simulation = Simulation(smallOptions(), clock: countingClock())
    let result = simulation.run()
    let wires = SimulationPlot(result).chart.panels[2]
    let samples = result.figures.samples
    #expect(
      samples.contains { $0.zeroedShare == nil } && samples.contains { $0.zeroedShare != nil })
    for series in wires.series {
      #expect(series.points.map { $0.y == nil } == samples.map { $0.superpageShare == nil })
    }
    // The bars of a sample make 100 %.
    for (index, sample) in samples.enumerated() where sample.superpageShare != nil {
      let sum = wires.series.prefix(3).reduce(0) { $0 + ($1.points[index].y?.value ?? 0) }
      #expect((sum - 100).magnitude < 1e-9)
    }
    let used = SimulationPlot(result).chart.panels[0].series[0].points
    #expect(used.last?.x == samples.last.map { $0.time / 3600 })
    #expect(used.last?.y?.value == samples.last.map { Double($0.used.rawValue) / 1_073_741_824 })
  }

  @Test func `a plot without samples is valid`() throws {
    var options = smallOptions()
    options.guests = 1
    options.sizes = SizeMix([SizeMix.Part(.gibibytes(4), weight: 1)])
    var simulation = Simulation(options, clock: countingClock())
    let result = simulation.run()
    #expect(result.figures.wires.count == 0 && result.figures.guests.refused > 0)
    _ = read(SimulationPlot(result).svg)
  }
}
