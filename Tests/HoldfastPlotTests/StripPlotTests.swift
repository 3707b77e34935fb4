import HoldfastTestKit
import Testing

@testable import HoldfastPlot

struct StripPlotTests {
  private static let widths = [200.0, 360, 559, 560, 960]

  /// No label overlaps another or leaves the picture, by the module's estimate of widths.
  private func check(_ canvas: Canvas, height: Double, _ what: String) {
    for (index, one) in canvas.labels.enumerated() {
      #expect(one.left >= 0 && one.right <= canvas.width, "\(what): \(one)")
      #expect(one.top >= 0 && one.bottom <= height, "\(what): \(one) of \(height)")
      for other in canvas.labels[(index + 1)...] where one.overlaps(other) {
        Issue.record("\(what): \(one) and \(other)")
      }
    }
  }

  private func random(_ generator: inout SeededGenerator) -> StripPlot {
    func number() -> Double {
      var value = Double(1 + generator.next() % 1000)
      for _ in 0..<generator.next() % 12 { value /= 10 }
      return value
    }
    let rows = (0..<generator.next() % 12).map { _ in
      let count = generator.next() % 12
      let value = number()
      return StripPlot.Row(
        randomText(&generator, length: 120),
        group: generator.next() % 3 == 0 ? randomText(&generator, length: 60) : nil,
        style: SeriesStyle(Int(generator.next() % 8)),
        runs: (0..<count).map { _ in Datum(generator.next() % 2 == 0 ? value : number()) },
        median: count == 0 ? nil : Datum(value),
        floor: generator.next() % 2 == 0 ? Datum(number()) : nil,
        note: count == 0 ? randomText(&generator, length: 80) : nil)
    }
    return StripPlot(
      randomText(&generator, length: 100), axis: Axis("time", .seconds, .logarithmic), rows: rows,
      families: (0..<generator.next() % 4).map {
        .init(randomText(&generator, length: 50), SeriesStyle(Int($0)))
      },
      references: (0..<generator.next() % 4).map { _ in
        .init(randomText(&generator, length: 70), Datum(number()))
      }, floorName: randomText(&generator, length: 60))
  }

  @Test func `labels of random rows are apart`() {
    var generator = SeededGenerator(seed: 11)
    for round in 0..<50 {
      let plot = random(&generator)
      for width in Self.widths {
        let (canvas, height) = plot.draw(width: width)
        check(canvas, height: height, "round \(round), width \(width)")
      }
    }
  }

  @Test func `names are on the left or, in a narrow picture, above`() throws {
    let plot = StripPlot(
      "title", axis: Axis("time", .seconds, .logarithmic),
      rows: [.init("first", runs: [Datum(0.001)]), .init("second", runs: [Datum(1)])])
    for (width, isAbove) in [(960.0, false), (360, true)] {
      let reader = SVGReader(plot.svg(width: width))
      let name = try #require(reader.boxes.first { $0.text == "first" })
      // The dots of the rows, after that of the legend.
      let dots = reader.elements.filter { $0.name == "circle" }.dropFirst()
      let x = try dots.map { try #require($0.attributes["cx"].flatMap(Double.init)) }
      let y = try dots.map { try #require($0.attributes["cy"].flatMap(Double.init)) }
      #expect(x.count == 2 && x[0] < x[1] && y[0] < y[1])
      #expect(isAbove ? name.y < y[0] - 8 : (name.y - 5 - y[0]).magnitude < 2)
      #expect(isAbove || name.right < x[0])
      #expect(reader.texts.contains("1 ms") && reader.texts.contains("time"))
    }
  }

  @Test func `numbers are where they belong, with their sources`() throws {
    let plot = StripPlot(
      "title", axis: Axis("time", .seconds, .logarithmic, low: 0.001, high: 10),
      rows: [
        .init(
          "way", runs: [Datum(0.01, key: "a.0"), Datum(1, key: "a.1"), Datum(0, key: "a.2")],
          median: Datum(0.1, key: "m"), floor: Datum(0.001, key: "f"))
      ], references: [.init("published", Datum(10, key: "p"))])
    let reader = SVGReader(plot.svg(width: 960))
    var places: [String: Double] = [:]
    var hollow: [String] = []
    for element in reader.elements {
      guard let key = element.attributes["data-key"], element.name != "text" else { continue }
      places[key] =
        element.attributes["cx"].flatMap(Double.init)
        ?? element.attributes["d"].flatMap { Double($0.dropFirst().prefix { $0 != " " }) }
      if element.attributes["fill"] == SVGColor.page.light { hollow.append(key) }
    }
    let start = try #require(places["f"])
    let end = try #require(places["p"])
    for (key, share) in [("a.0", 0.25), ("m", 0.5), ("a.1", 0.75), ("a.2", 0)] {
      let place = try #require(places[key])
      #expect((place - start - (end - start) * share).magnitude < 0.11, "\(key)")
    }
    // A logarithmic axis has no zero.
    #expect(hollow == ["a.2"])
    let values = Dictionary(
      reader.elements.compactMap { element in
        element.attributes["data-key"].map { ($0, element.attributes["data-value"]) }
      }, uniquingKeysWith: { $1 })
    #expect(
      values == ["a.0": "0.01", "a.1": "1.0", "a.2": "0.0", "m": "0.1", "f": "0.001", "p": "10.0"])
    // A published number is a dashed line with its name, not a dot.
    let published = try #require(reader.elements.first { $0.attributes["data-key"] == "p" })
    #expect(published.name == "path" && published.attributes["stroke-dasharray"] != nil)
    #expect(reader.texts.contains("published: 10 s"))
  }

  @Test func `equal numbers are apart`() {
    let offsets = Swarm.offsets([Double](repeating: 5, count: 11), diameter: 7, space: 20)
    #expect(Set(offsets).count == 11 && offsets.allSatisfy { $0.magnitude <= 20 })
    #expect(offsets.contains(0) && offsets.reduce(0, +) == 0)
    #expect(Swarm.offsets([1, 20, 40], diameter: 7, space: 20) == [0, 0, 0])
    #expect(Swarm.offsets([1, 2, 40], diameter: 7, space: 20) == [0, -7, 0])
    #expect(Swarm.offsets([], diameter: 7, space: 20) == [])
  }

  @Test func `parts of a bar follow each other`() throws {
    let plot = StripPlot(
      "title", axis: Axis("time", .seconds),
      rows: [
        .init(
          "way",
          parts: [
            .init("one", .blue, Datum(1)), .init("two", .orange, Datum(2)),
            .init("three", .green, Datum(.nan)), .init("four", .pink, Datum(1)),
          ])
      ])
    let bars = SVGReader(plot.svg(width: 960)).elements
      .filter { $0.name == "rect" && $0.attributes["data-value"] != nil }
    let starts = bars.compactMap { $0.attributes["x"].flatMap(Double.init) }
    let widths = bars.compactMap { $0.attributes["width"].flatMap(Double.init) }
    try #require(starts.count == 3 && widths.count == 3)
    #expect((widths[1] - 2 * widths[0]).magnitude < 0.3 && (widths[2] - widths[0]).magnitude < 0.2)
    #expect((starts[1] - starts[0] - widths[0]).magnitude < 0.2)
    #expect((starts[2] - starts[1] - widths[1]).magnitude < 0.2)
  }
}
