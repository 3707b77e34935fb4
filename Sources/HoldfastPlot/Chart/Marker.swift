/// A dot of a series.
struct Marker {
  var style: SeriesStyle
  /// Only the outline, for values that the axis does not have.
  var isHollow = false
  /// Half the width.
  var radius = 4.0

  /// The dot at a place, with its number and a text that viewers show beside it.
  func element(
    x: Double, y: Double, datum: Datum? = nil, tooltip: String? = nil
  ) -> Markup {
    // Strokes have no inside: a hollow one is a circle.
    let isCircle = style.shape == .circle || (isHollow && isStroke)
    var attributes: [Markup.Attribute]
    if isStroke && !isHollow {
      attributes = [("fill", "none")] + style.color.stroke + [("stroke-width", "2.2")]
    } else if isHollow {
      attributes = SVGColor.page.fill(outline: style.color) + [("stroke-width", "1.5")]
    } else {
      // An outline of the page's color keeps dots apart that touch.
      attributes = style.color.fill(outline: .page) + [("stroke-width", "0.8")]
    }
    let children = tooltip.map { [Markup("title", text: $0)] } ?? []
    if let datum { attributes += datum.attributes }
    if isCircle {
      return Markup(
        "circle",
        [
          ("cx", Markup.number(x)), ("cy", Markup.number(y)), ("r", Markup.number(radius)),
        ] + attributes, children)
    }
    return Markup("path", [("d", outline(x, y))] + attributes, children)
  }

  private var isStroke: Bool {
    style.shape == .cross || style.shape == .plus || style.shape == .bar
  }

  private func outline(_ x: Double, _ y: Double) -> String {
    let r = radius
    switch style.shape {
    case .circle, .square: return polygon(x, y, [(-r, -r), (r, -r), (r, r), (-r, r)])
    case .triangle: return polygon(x, y, [(0, -r * 1.2), (r * 1.1, r), (-r * 1.1, r)])
    case .downTriangle: return polygon(x, y, [(0, r * 1.2), (r * 1.1, -r), (-r * 1.1, -r)])
    case .diamond:
      return polygon(x, y, [(0, -r * 1.3), (r * 1.3, 0), (0, r * 1.3), (-r * 1.3, 0)])
    case .cross: return strokes(x, y, [(-r, -r, r, r), (-r, r, r, -r)])
    case .plus: return strokes(x, y, [(-r * 1.2, 0, r * 1.2, 0), (0, -r * 1.2, 0, r * 1.2)])
    case .bar: return strokes(x, y, [(0, -r * 1.3, 0, r * 1.3)])
    }
  }

  private func polygon(_ x: Double, _ y: Double, _ corners: [(Double, Double)]) -> String {
    "M"
      + corners.map { "\(Markup.number(x + $0.0)) \(Markup.number(y + $0.1))" }
      .joined(separator: "L") + "Z"
  }

  private func strokes(
    _ x: Double, _ y: Double, _ lines: [(Double, Double, Double, Double)]
  ) -> String {
    lines.map {
      "M\(Markup.number(x + $0.0)) \(Markup.number(y + $0.1))"
        + "L\(Markup.number(x + $0.2)) \(Markup.number(y + $0.3))"
    }.joined()
  }
}
