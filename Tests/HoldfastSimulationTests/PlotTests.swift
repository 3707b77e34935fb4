import Foundation
import FoundationXML
import HoldfastCore
import Testing

@testable import HoldfastSimulation

@Suite struct PlotTests {
  /// The elements that an XML parser finds.
  private final class Reader: NSObject, XMLParserDelegate {
    var elements: [String: Int] = [:]
    var texts: [String] = []
    var paths: [String] = []
    private var text: String?

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
      qualifiedName: String?, attributes: [String: String] = [:]
    ) {
      elements[name, default: 0] += 1
      if name == "path" { paths.append(attributes["d"] ?? "") }
      text = name == "text" ? "" : nil
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text?.append(string) }

    func parser(
      _ parser: XMLParser, didEndElement name: String, namespaceURI: String?,
      qualifiedName: String?
    ) {
      if let text { texts.append(text) }
      text = nil
    }
  }

  private func read(_ svg: String) throws -> Reader {
    let reader = Reader()
    let parser = XMLParser(data: Data(svg.utf8))
    parser.delegate = reader
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    return reader
  }

  @Test(arguments: [SimulationOptions.Pattern.steady, .bursts])
  func `the plot is XML with titles, units, legends and lines`(
    pattern: SimulationOptions.Pattern
  ) throws {
    var simulation = Simulation(smallOptions(pattern: pattern), clock: countingClock())
    let reader = try read(SimulationPlot(simulation.run()).svg)
    #expect(reader.elements["svg"] == 1)
    for text in [
      "holdfast simulate: 2 GiB, 12 guests at once, \(pattern.rawValue) arrivals, seed 1",
      "Memory", "GiB", "Share of the bytes wired", "%", "simulated time, hours", "used",
      "used or zeroed", "all", "2 MiB", "1 GiB", "in superpages", "in the largest",
      "in frames zeroed ahead", "0.0", "2.0", "6", "100",
    ] {
      #expect(reader.texts.contains(text), "\(text): \(reader.texts)")
    }
    // A line and a sample for each series, and an area.
    #expect(reader.paths.count == 8 + 8 + 1)
    #expect(reader.paths.allSatisfy { !$0.contains("nan") && !$0.contains("inf") })
  }

  @Test func `gaps are not drawn and a single point is a dot`() throws {
    let drawing = SVGDrawing(times: [0, 1, 2, 3, 4], duration: 4)
    let panel = SimulationPlot.Panel(
      title: "a < b & \"c\"", unit: "%", top: 100,
      series: [.init(name: "x", color: "#000000", values: [1, nil, 2, nil, nil])])
    let reader = try read(drawing.document([panel]))
    #expect(reader.texts.contains("a < b & \"c\""))
    let line = try #require(reader.paths.first { $0.hasPrefix("M76.0") })
    #expect(line.count { $0 == "M" } == 2 && line.count { $0 == "l" } == 2)
  }

  @Test func `a plot without samples is valid`() throws {
    var options = smallOptions()
    options.guests = 1
    options.sizes = SizeMix([SizeMix.Part(.gibibytes(4), weight: 1)])
    var simulation = Simulation(options, clock: countingClock())
    let result = simulation.run()
    #expect(result.figures.wires.count == 0 && result.figures.guests.refused > 0)
    _ = try read(SimulationPlot(result).svg)
  }

  @Test(
    arguments: [
      (1.0, 5, 0.2), (16, 5, 5), (100, 5, 20), (2, 10, 0.2), (30, 5, 10), (0.003, 5, 0.001),
      (0, 5, 1),
    ] as [(Double, Int, Double)])
  func `steps of axes are round`(range: Double, ticks: Int, step: Double) {
    #expect((SVGDrawing.step(range, ticks: ticks) - step).magnitude < step / 1e6)
  }
}
