import HoldfastTestKit
import Testing

@testable import HoldfastPlot

struct ChartTests {
  private static let extremes: [Double?] = [
    nil, 0, -0.0, 1, -1, .nan, .infinity, -.infinity, .leastNonzeroMagnitude, 1e-305, 1e300,
    .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 1e16, 1e16 + 2, 0.1, 123_456.789,
  ]
  private static let kinds: [Chart.Series.Kind] = [
    .line, .dottedLine, .dots, .area, .step, .bar, .stackedBar, .mark,
  ]
  private static let axisKinds: [Axis.Kind] = [
    .linear, .logarithmic, .categories(["a", "b & c"]), .categories([]),
  ]
  private static let quantities: [Quantity] = [
    .seconds, .bytes, .bytesPerSecond, .count, .percent, .factor, .plain,
  ]

  /// A picture is well-formed, and every coordinate is a number within reason.
  private func check(_ picture: any Picture, width: Double, _ what: String) {
    let svg = picture.svg(width: width)
    let reader = SVGReader(svg)
    #expect(reader.error == nil, "\(what)")
    #expect(reader.elements.first?.attributes["aria-label"] == picture.title)
    let names = ["x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "d"]
    for element in reader.elements {
      for name in names {
        guard let text = element.attributes[name], !text.hasSuffix("%") else { continue }
        let numbers = text.split { !"0123456789.-".contains($0) }
        let isPlain = text.allSatisfy { "0123456789.- MLHVZhlm".contains($0) }
        #expect(
          isPlain && numbers.allSatisfy { (Double($0) ?? .nan).magnitude < 20_000 },
          "\(what): \(element)")
      }
    }
    for text in reader.texts { #expect(!text.lowercased().contains("nan"), "\(what): \(text)") }
  }

  @Test func `no input draws what is not a number`() {
    var generator = SeededGenerator(seed: 5)
    func pick<T>(_ all: [T]) -> T { all[Int(generator.next() % UInt64(all.count))] }
    for round in 0..<200 {
      func datum() -> Datum? { pick(Self.extremes).map { Datum($0, key: "k") } }
      let series = (0..<generator.next() % 4).map { _ in
        Chart.Series(
          "name", pick(Self.kinds), SeriesStyle(Int(generator.next() % 60)),
          points: (0..<generator.next() % 6).map { _ in
            Chart.Point(x: pick(Self.extremes) ?? 0, y: datum(), low: datum(), high: datum())
          })
      }
      func axis() -> Axis {
        Axis(
          "axis", pick(Self.quantities), pick(Self.axisKinds), low: pick(Self.extremes),
          high: pick(Self.extremes), step: pick(Self.extremes))
      }
      let reference = Chart.Reference("reference", datum() ?? Datum(1))
      let chart = Chart(
        "title <&>", panels: [.init(x: axis(), y: axis(), series: series, references: [reference])])
      check(chart, width: pick([960, 360, 0, -1, .nan, 1e9]), "round \(round)")
      let rows = (0..<generator.next() % 4).map { _ in
        StripPlot.Row(
          "row", runs: (0..<generator.next() % 5).map { _ in datum() ?? Datum(1) },
          median: datum(), floor: datum(), interval: [datum(), datum()].compactMap { $0 },
          parts: [.init("part", .blue, datum() ?? Datum(2))])
      }
      check(
        StripPlot("title", axis: axis(), rows: rows, references: [reference]), width: 360,
        "strip, round \(round)")
    }
  }

  @Test func `an empty picture is valid`() {
    check(Chart("nothing", panels: []), width: 960, "no panels")
    check(StripPlot("nothing", axis: Axis("x"), rows: []), width: 360, "no rows")
    let panel = Chart.Panel(x: Axis("x", .seconds, .logarithmic), y: Axis("y"), series: [])
    check(Chart("nothing", panels: [panel]), width: 360, "no series")
  }

  @Test func `labels of random panels are apart`() {
    var generator = SeededGenerator(seed: 13)
    for round in 0..<40 {
      let names = (0..<2 + generator.next() % 8).map { _ in randomText(&generator, length: 40) }
      let isCategory = generator.next() % 2 == 0
      let scale = Double(1 + generator.next() % 1_000_000_000) / 1e6
      let series = (0..<1 + generator.next() % 8).map { index in
        Chart.Series(
          randomText(&generator, length: 50), .dottedLine, SeriesStyle(Int(index)),
          x: names.indices.map { Double($0) * (isCategory ? 1 : scale) },
          values: names.map { _ in scale * Double(1 + generator.next() % 100) })
      }
      let panel = Chart.Panel(
        randomText(&generator, length: 80),
        x: Axis("x", .seconds, isCategory ? .categories(names) : .linear),
        y: Axis("y", .bytes, generator.next() % 2 == 0 ? .linear : .logarithmic), series: series,
        references: (0..<generator.next() % 4).map {
          .init(randomText(&generator, length: 50), Datum(scale * Double($0 * 20 + 1)))
        })
      let chart = Chart(randomText(&generator, length: 80), panels: [panel, panel])
      for width in [200.0, 360, 960] {
        let (canvas, height) = chart.draw(width: width)
        for (index, one) in canvas.labels.enumerated() {
          #expect(one.left >= 0 && one.right <= width && one.bottom <= height, "\(round): \(one)")
          for other in canvas.labels[(index + 1)...] where one.overlaps(other) {
            Issue.record("round \(round), width \(width): \(one) and \(other)")
          }
        }
      }
    }
  }

  @Test func `a legend takes the lines that it needs`() {
    let items = (0..<8).map {
      Legend.Item(name: "series number \($0)", sample: .line(SeriesStyle($0), dot: true))
    }
    for (width, lines) in [(1400.0, 1), (960, 2), (360, 4), (200, 8)] {
      var canvas = Canvas(width: width)
      let bottom = Legend(items: items).draw(on: &canvas, top: 50)
      #expect(Set(canvas.labels.map(\.top)).count == lines, "\(width)")
      #expect(canvas.labels.allSatisfy { $0.top >= 50 && $0.bottom <= bottom })
    }
    var canvas = Canvas(width: 360)
    #expect(Legend(items: []).draw(on: &canvas, top: 50) == 50)
  }

  @Test func `error bars and bars carry their numbers`() {
    let point = Chart.Point(
      x: 0, y: Datum(2, key: "y"), low: Datum(1, key: "low"), high: Datum(3, key: "high"))
    for kind in Self.kinds {
      let chart = Chart(
        "title",
        panels: [
          .init(
            x: Axis("x", .plain, .categories(["way"])), y: Axis("y", .seconds),
            series: [.init("name", kind, SeriesStyle(0), points: [point])])
        ])
      let found = SVGReader(chart.svg(width: 360)).elements.compactMap { element in
        element.attributes["data-key"].map { "\($0) \(element.attributes["data-value"] ?? "")" }
      }
      #expect(found.sorted() == ["high 3.0", "low 1.0", "y 2.0"], "\(kind)")
      #expect(chart.svg(width: 360).contains("<title>name, way, 2 s</title>"), "\(kind)")
    }
  }

  @Test func `styles of 56 series differ`() {
    #expect(Set((0..<56).map { SeriesStyle($0) }).count == 56)
    // Without color the first eight differ in dashes and in shape.
    #expect(Set((0..<8).map { SeriesStyle($0).dashes ?? "" }).count == 8)
    #expect(Set((0..<8).map { SeriesStyle($0).shape }).count == 8)
    _ = SeriesStyle(.min)
  }
}
