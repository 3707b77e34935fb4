// The elements of an SVG document as text.

extension SVGDrawing {
  func text(
    _ x: Double, _ y: Double, _ content: String, anchor: String = "start", size: Int? = nil,
    weight: String? = nil
  ) -> String {
    let size = size.map { " font-size=\"\($0)\"" } ?? ""
    let weight = weight.map { " font-weight=\"\($0)\"" } ?? ""
    return "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\"\(size)\(weight) "
      + "\(SVGColor.ink.fill)>\(escaped(content))</text>"
  }

  func line(
    _ x: Double, _ y: Double, _ x2: Double, _ y2: Double, _ color: SVGColor
  ) -> String {
    "<line x1=\"\(number(x))\" y1=\"\(number(y))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\" "
      + "\(color.stroke)/>"
  }

  func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }

  /// A number with a fixed number of decimals.
  func number(_ value: Double, places: Int = 1) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 1e15 else { return "\(value)" }
    let whole = UInt64(scaled)
    let sign = value < 0 && whole > 0 ? "-" : ""
    if places == 0 { return "\(sign)\(whole)" }
    let fraction = "\(whole % UInt64(scale))"
    return "\(sign)\(whole / UInt64(scale))."
      + String(repeating: "0", count: places - fraction.count) + fraction
  }
}
