import HoldfastTestKit
import Testing

@testable import HoldfastPlot

struct PanelTests {
  /// The vertical axis is at 12 + the width of `100` + 8.
  private let left = 20 + TextMeasure.width("100", size: 14)

  private func read(_ series: [Chart.Series]) -> SVGReader {
    let panel = Chart.Panel(
      "a < b & \"c\"", x: Axis("time", low: 0, high: 4), y: Axis("%", high: 100), series: series)
    let reader = SVGReader(Chart("picture", panels: [panel]).svg(width: 1000))
    #expect(reader.error == nil && reader.overlaps == [])
    #expect(reader.texts.contains("a < b & \"c\""))
    return reader
  }

  private func series(
    _ name: String, _ kind: Chart.Series.Kind, _ values: [Double?], color: SVGColor = .blue
  ) -> Chart.Series {
    Chart.Series(name, kind, SeriesStyle(color), x: [0, 1, 2, 3, 4], values: values)
  }

  @Test(arguments: [Chart.Series.Kind.line, .step, .area, .dottedLine])
  func `gaps are not drawn and a single point is a dot`(kind: Chart.Series.Kind) throws {
    let paths = read([series("x", kind, [1, nil, 2, .nan, 3, nil])]).paths
      .filter { $0.hasPrefix("M\(Quantity.fixed(left)) ") }
    let line = try #require(paths.last)
    #expect(line.count { $0 == "M" } == 3 && line.count { $0 == "l" } == 3)
    // An area has the gaps of its line.
    #expect(paths.count == (kind == .area ? 2 : 1))
    if kind == .area { #expect(paths[0].count { $0 == "Z" } == 3) }
  }

  /// Each bar begins where the one below ends, and a gap has none.
  @Test func `bars stand on each other, and on nothing in gaps`() throws {
    let reader = read([
      series("x", .stackedBar, [50, nil, 100, 0, nil]),
      series("y", .stackedBar, [25, nil, 0, 100, nil]),
      series("z", .mark, [80, nil, 0, 100, nil], color: .ink),
    ])
    // The axis of time is a line from the left end to the right.
    let axis = try #require(
      reader.elements.last {
        $0.name == "line" && $0.attributes["x1"] == Quantity.fixed(left)
          && $0.attributes["x2"] != Quantity.fixed(left)
      })
    let end = try #require(axis.attributes["x2"].flatMap(Double.init))
    let bottom = try #require(axis.attributes["y1"].flatMap(Double.init))
    func x(_ time: Double) -> String { Quantity.fixed(left + (end - left) * time / 4) }
    func y(_ value: Double) -> String { Quantity.fixed(bottom - 190 * value / 100) }
    func bar(from start: Double, to end: Double, _ low: Double, _ high: Double) -> String {
      "M\(x(start)) \(y(low))V\(y(high))H\(x(end))V\(y(low))Z"
    }
    func mark(from start: Double, to end: Double, _ value: Double) -> String {
      "M\(x(start)) \(y(value))H\(x(end))"
    }
    let expected: [[String]] = [
      [bar(from: 0, to: 0.5, 0, 50), bar(from: 1.5, to: 2.5, 0, 100)],
      [bar(from: 0, to: 0.5, 50, 75), bar(from: 2.5, to: 3.5, 0, 100)],
      [mark(from: 0, to: 0.5, 80), mark(from: 1.5, to: 2.5, 0), mark(from: 2.5, to: 3.5, 100)],
    ]
    #expect(Array(reader.paths.suffix(3)) == expected.map { $0.joined() })
  }
}
