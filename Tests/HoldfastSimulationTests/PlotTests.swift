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
    /// Where texts are that are not turned, as wide as DejaVu Sans makes them.
    var boxes: [Box] = []
    private var text: String?
    private var place: Box?

    struct Box {
      var text = ""
      var x = 0.0
      var y = 0.0
      var size = 14.0
      var anchor = "start"

      var width: Double { Double(text.count) * size * 0.58 }
      var left: Double { x - (anchor == "end" ? width : anchor == "middle" ? width / 2 : 0) }
      var right: Double { left + width }

      func overlaps(_ other: Box) -> Bool {
        left < other.right && other.left < right && y - size < other.y && other.y - other.size < y
      }
    }

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
      qualifiedName: String?, attributes: [String: String] = [:]
    ) {
      elements[name, default: 0] += 1
      if name == "path" { paths.append(attributes["d"] ?? "") }
      text = name == "text" ? "" : nil
      place = nil
      if name == "text", let x = attributes["x"].flatMap(Double.init),
        let y = attributes["y"].flatMap(Double.init)
      {
        place = Box(
          x: x, y: y, size: attributes["font-size"].flatMap(Double.init) ?? 14,
          anchor: attributes["text-anchor"] ?? "start")
      }
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text?.append(string) }

    func parser(
      _ parser: XMLParser, didEndElement name: String, namespaceURI: String?,
      qualifiedName: String?
    ) {
      if let text {
        texts.append(text)
        place?.text = text
        if let place { boxes.append(place) }
      }
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
      "Memory, of 2 GiB", "GiB", "Share of the bytes wired, by page size", "% of bytes wired",
      "% of free memory", "used", "used or zeroed", "2 MiB", "1 GiB", "4 KiB", "zeroed ahead",
      "0.0", "2.0", "6", "100",
    ] {
      #expect(reader.texts.contains(text), "\(text): \(reader.texts)")
    }
    // Each panel has its own time axis with the unit.
    #expect(reader.texts.count { $0 == "simulated time, hours" } == 3)
    // An area, four lines, the marks, bars of one size at least, and five samples in the legends.
    #expect((12...14).contains(reader.paths.count), "\(reader.paths.count)")
    #expect(reader.paths.allSatisfy { !$0.contains("nan") && !$0.contains("inf") })
    let boxes = reader.boxes
    for (index, one) in boxes.enumerated() {
      #expect(one.left >= 0 && one.right <= 1000, "\(one)")
      for other in boxes[(index + 1)...] {
        #expect(!one.overlaps(other), "\(one.text) and \(other.text)")
      }
    }
  }

  private func panel(_ series: [SimulationPlot.Series]) -> SimulationPlot.Panel {
    SimulationPlot.Panel(title: "a < b & \"c\"", axis: "%", top: 100, series: series)
  }

  @Test func `gaps are not drawn and a single point is a dot`() throws {
    let drawing = SVGDrawing(times: [0, 1, 2, 3, 4], duration: 4)
    for style in [SimulationPlot.Series.Style.line, .dashed, .area] {
      let series = SimulationPlot.Series(
        name: "x", color: .ink, style: style, values: [1, nil, 2, 3, nil])
      let reader = try read(drawing.document([panel([series])]))
      #expect(reader.texts.contains("a < b & \"c\""))
      let paths = reader.paths.filter { $0.hasPrefix("M80.0") }
      let line = try #require(paths.last)
      #expect(line.count { $0 == "M" } == 2 && line.count { $0 == "l" } == 2)
      // An area has the gaps of its line.
      #expect(paths.count == (style == .area ? 2 : 1))
      if style == .area { #expect(paths[0].count { $0 == "Z" } == 2) }
    }
  }

  /// Each bar begins where the one below ends, and a gap has none.
  @Test func `bars stand on each other, and on nothing in gaps`() throws {
    let drawing = SVGDrawing(times: [0, 1, 2, 3, 4], duration: 4)
    let series: [SimulationPlot.Series] = [
      .init(name: "x", color: .blue, style: .bar, values: [50, nil, 100, 0, nil]),
      .init(name: "y", color: .orange, style: .bar, values: [25, nil, 0, 100, nil]),
      .init(name: "z", color: .ink, style: .mark, values: [80, nil, 0, 100, nil]),
    ]
    let paths = try read(drawing.document([panel(series)])).paths
    // The plot is 896 wide from 80 on, and 190 high down to 282; legends have only the mark.
    #expect(
      paths.suffix(3) == [
        "M80.0 282.0V187.0H192.0V282.0ZM416.0 282.0V92.0H640.0V282.0Z",
        "M80.0 187.0V139.5H192.0V187.0ZM640.0 282.0V92.0H864.0V282.0Z",
        "M80.0 130.0H192.0M416.0 282.0H640.0M640.0 92.0H864.0",
      ])
  }

  @Test func `a viewer that prefers dark pages gets readable colors`() throws {
    var simulation = Simulation(smallOptions(), clock: countingClock())
    let svg = SimulationPlot(simulation.run()).svg
    let classes = Set(
      svg.split(separator: "class=\"").dropFirst().map { $0.prefix { $0 != "\"" } })
    #expect(classes.contains("f-page") && classes.contains("f-ink") && classes.contains("s-grid"))
    for name in classes { #expect(svg.contains(".\(name) { "), "\(name)") }
    for color in [SVGColor.ink, .blue, .orange, .green] {
      #expect(contrast(color.light, SVGColor.page.light) >= 3, "\(color.name)")
      #expect(contrast(color.dark, SVGColor.page.dark) >= 3, "\(color.name)")
    }
    #expect(contrast(SVGColor.ink.light, SVGColor.page.light) >= 7)
    #expect(contrast(SVGColor.ink.dark, SVGColor.page.dark) >= 7)
  }

  /// The contrast ratio of WCAG 2.
  private func contrast(_ one: String, _ other: String) -> Double {
    func luminance(_ color: String) -> Double {
      let number = UInt32(color.dropFirst(), radix: 16) ?? 0
      return zip([16, 8, 0], [0.2126, 0.7152, 0.0722]).reduce(0) { sum, part in
        let value = Double(number >> UInt32(part.0) & 255) / 255
        return sum + part.1 * (value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4))
      }
    }
    let values = [luminance(one), luminance(other)].sorted()
    return (values[1] + 0.05) / (values[0] + 0.05)
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
