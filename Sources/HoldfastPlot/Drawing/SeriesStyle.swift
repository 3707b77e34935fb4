/// How a series looks: by color, and without color by dashes and by the shape of its dots.
package struct SeriesStyle: Hashable, Sendable {
  /// The shape of a dot.
  package enum Shape: CaseIterable, Sendable {
    case circle, square, triangle, diamond, cross, downTriangle, plus, bar
  }

  /// The color of lines, dots and bars.
  package var color: SVGColor
  /// The lengths of dashes and gaps; nil for a solid line.
  package var dashes: String?
  /// The shape of dots.
  package var shape: Shape

  /// A style.
  package init(_ color: SVGColor, dashes: String? = nil, shape: Shape = .circle) {
    self.color = color
    self.dashes = dashes
    self.shape = shape
  }

  /// The style of the series with a number. The first eight differ in color, dashes and shape;
  /// later ones differ from each other in two of the three, up to 56 series.
  package init(_ index: Int) {
    let number = Int(index.magnitude % 56)
    let round = number / 8
    color = SVGColor.series[number % 8]
    dashes = SeriesStyle.dashes[(number + round) % 8]
    shape = Shape.allCases[(number + round) % 8]
  }

  /// The usual dashes.
  package static let dashed = "7 4"

  private static let dashes: [String?] = [
    nil, dashed, "2 3", "10 3 2 3", "14 4", "5 2", "10 3 2 3 2 3", "1 5",
  ]
}
