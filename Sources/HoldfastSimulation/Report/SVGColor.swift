/// A color of a drawing, on a light page and on a dark one.
struct SVGColor: Hashable {
  /// The name of its classes in the document.
  let name: String
  /// On a light page.
  let light: String
  /// On a dark page.
  let dark: String

  /// The page.
  static let page = SVGColor(name: "page", light: "#ffffff", dark: "#161b22")
  /// Text and axes.
  static let ink = SVGColor(name: "ink", light: "#222222", dark: "#e6e6e6")
  /// The lines at an axis' numbers.
  static let grid = SVGColor(name: "grid", light: "#dddddd", dark: "#3a414a")

  // Those of series differ for people with any color vision.
  static let blue = SVGColor(name: "blue", light: "#0072b2", dark: "#3f9fdc")
  static let lightBlue = SVGColor(name: "light-blue", light: "#8fcdf2", dark: "#1d567d")
  static let orange = SVGColor(name: "orange", light: "#d55e00", dark: "#f0862f")
  static let green = SVGColor(name: "green", light: "#007a5e", dark: "#2fbf9b")

  private static let all = [page, ink, grid, blue, lightBlue, orange, green]

  /// The attributes of a shape that is filled with the color. A viewer without style sheets uses the
  /// light one.
  var fill: String { "class=\"f-\(name)\" fill=\"\(light)\"" }

  /// The attributes of a line.
  var stroke: String { "class=\"s-\(name)\" stroke=\"\(light)\"" }

  /// The style sheet that has the dark colors, for viewers that prefer them.
  static let styleSheet =
    "<style>@media (prefers-color-scheme: dark) {"
    + all.map { " .f-\($0.name) { fill: \($0.dark) } .s-\($0.name) { stroke: \($0.dark) }" }
    .joined() + " }</style>"
}
