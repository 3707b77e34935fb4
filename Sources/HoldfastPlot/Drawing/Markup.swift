/// A piece of an SVG or HTML document: text in which everything that a caller gives is escaped.
package struct Markup: Hashable, Sendable {
  /// The piece as it stands in the document.
  package private(set) var source: String

  /// An attribute; one without a value is left out.
  package typealias Attribute = (name: String, value: String?)

  /// Nothing.
  package init() { source = "" }

  /// Text that a reader sees.
  package init(text: String) { source = Markup.escaped(text) }

  /// Text that is already part of a document, such as a style sheet.
  init(source: String) { self.source = source }

  /// An element.
  package init(_ name: String, _ attributes: [Attribute], _ children: [Markup] = []) {
    source = "<\(name)"
    for (name, value) in attributes {
      guard let value else { continue }
      source += " \(name)=\"\(Markup.escaped(value))\""
    }
    if children.isEmpty && Markup.withoutContent.contains(name) {
      source += "/>"
    } else {
      source += ">"
      for child in children { source += child.source }
      source += "</\(name)>"
    }
  }

  /// An element with a text.
  package init(_ name: String, _ attributes: [Attribute] = [], text: String) {
    self.init(name, attributes, [Markup(text: text)])
  }

  /// Adds a piece after this one.
  package static func += (left: inout Markup, right: Markup) { left.source += right.source }

  /// The elements that may be written as one tag. HTML reads `<p/>` as an open paragraph.
  private static let withoutContent: Set<String> = [
    "br", "circle", "line", "meta", "path", "rect",
  ]

  /// Text without the characters that mean something in XML. Those that XML cannot have are
  /// replaced.
  package static func escaped(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    // By scalars: "<" and a combining accent are one Character, which is not "<".
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result.append(contentsOf: "&amp;".unicodeScalars)
      case "<": result.append(contentsOf: "&lt;".unicodeScalars)
      case ">": result.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
      case "\t", "\n", "\r": result.append(" ")
      case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF:
        result.append("\u{FFFD}")
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  /// A coordinate, with one decimal; 0 for a number that is not finite.
  static func number(_ value: Double) -> String {
    value.isFinite ? Quantity.fixed(value, places: 1) : "0"
  }
}
