/// A color of a picture, on a light page and on a dark one.
package struct SVGColor: Hashable, Sendable {
  /// The name of its classes in the document.
  package let name: String
  /// On a light page, and on paper.
  package let light: String
  /// On a dark page.
  package let dark: String

  /// The page.
  package static let page = SVGColor(name: "page", light: "#ffffff", dark: "#161b22")
  /// Text and axes.
  package static let ink = SVGColor(name: "ink", light: "#222222", dark: "#e6e6e6")
  /// Text and marks of less weight.
  package static let faint = SVGColor(name: "faint", light: "#626262", dark: "#a3abb5")
  /// The lines at an axis' numbers.
  package static let grid = SVGColor(name: "grid", light: "#dddddd", dark: "#3a414a")
  /// The lines between an axis' numbers.
  package static let minorGrid = SVGColor(name: "minor", light: "#f0f0f0", dark: "#242b33")

  // Those of series differ for people with any color vision.
  package static let blue = SVGColor(name: "blue", light: "#0072b2", dark: "#3f9fdc")
  package static let orange = SVGColor(name: "orange", light: "#d55e00", dark: "#f0862f")
  package static let green = SVGColor(name: "green", light: "#007a5e", dark: "#2fbf9b")
  package static let pink = SVGColor(name: "pink", light: "#b8558f", dark: "#e39ccd")
  package static let olive = SVGColor(name: "olive", light: "#7d921c", dark: "#e1da3b")
  package static let violet = SVGColor(name: "violet", light: "#4b2e9e", dark: "#a97bfa")
  package static let brown = SVGColor(name: "brown", light: "#7f2a1d", dark: "#c0604f")
  package static let gray = SVGColor(name: "gray", light: "#907f7d", dark: "#b37aa1")
  /// A fill beside blue, too pale for lines.
  package static let lightBlue = SVGColor(name: "light-blue", light: "#8fcdf2", dark: "#1d567d")

  /// The colors of series, in the order of their use.
  package static let series = [blue, orange, green, pink, olive, violet, brown, gray]

  private static let all = [page, ink, faint, grid, minorGrid, lightBlue] + series

  /// The attributes of a shape that is filled with the color. A viewer without style sheets uses
  /// the light one.
  package var fill: [Markup.Attribute] { [("class", "f-\(name)"), ("fill", light)] }

  /// The attributes of a line.
  package var stroke: [Markup.Attribute] { [("class", "s-\(name)"), ("stroke", light)] }

  /// The attributes of a shape that is filled with one color and has an outline of another.
  func fill(outline: SVGColor) -> [Markup.Attribute] {
    [("class", "f-\(name) s-\(outline.name)"), ("fill", light), ("stroke", outline.light)]
  }

  /// The style sheet with the dark colors, for viewers that prefer them. Paper is light.
  package static let styles =
    "@media screen and (prefers-color-scheme: dark) {"
    + all.map { " .f-\($0.name) { fill: \($0.dark) } .s-\($0.name) { stroke: \($0.dark) }" }
    .joined() + " }"
}
