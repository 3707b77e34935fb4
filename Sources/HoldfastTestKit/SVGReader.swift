internal import Foundation
internal import FoundationXML

/// What an XML parser finds in an SVG picture.
package final class SVGReader {
  /// A text that is not turned, with the width that DejaVu Sans, the first font, has on average.
  package struct Box {
    package var text = ""
    package var x = 0.0
    package var y = 0.0
    package var size = 14.0
    package var anchor = "start"

    package var width: Double { Double(text.count) * size * 0.58 }
    package var left: Double { x - (anchor == "end" ? width : anchor == "middle" ? width / 2 : 0) }
    package var right: Double { left + width }

    package func overlaps(_ other: Box) -> Bool {
      left < other.right && other.left < right && y - size < other.y && other.y - other.size < y
    }
  }

  /// An element with its attributes.
  package struct Element {
    package var name: String
    package var attributes: [String: String]
  }

  /// The elements, in their order.
  package private(set) var elements: [Element] = []
  /// The texts that are drawn.
  package private(set) var texts: [String] = []
  /// Where they are.
  package private(set) var boxes: [Box] = []
  /// What the parser has to complain of; nil for well-formed XML.
  package private(set) var error: String?
  private var text: String?
  private var place = Box()
  private var size = 14.0

  /// Reads a document.
  package init(_ svg: String) {
    let parser = XMLParser(data: Data(svg.utf8))
    let delegate = Delegate(self)
    parser.delegate = delegate
    if !parser.parse() { error = "\(String(describing: parser.parserError))" }
  }

  /// The number of elements with a name.
  package func count(_ name: String) -> Int { elements.count { $0.name == name } }

  /// The outlines of the paths, in their order.
  package var paths: [String] {
    elements.filter { $0.name == "path" }.map { $0.attributes["d"] ?? "" }
  }

  /// Pairs of texts that overlap.
  package var overlaps: [String] {
    boxes.indices.flatMap { index in
      boxes[(index + 1)...].filter { $0.overlaps(boxes[index]) }
        .map { "\(boxes[index].text) and \($0.text)" }
    }
  }

  fileprivate func start(_ name: String, _ attributes: [String: String]) {
    elements.append(Element(name: name, attributes: attributes))
    func number(_ name: String) -> Double? { attributes[name].flatMap(Double.init) }
    if name == "svg" { size = number("font-size") ?? size }
    guard name == "text", let x = number("x"), let y = number("y") else { return }
    text = ""
    place = Box(
      x: x, y: y, size: number("font-size") ?? size,
      anchor: attributes["text-anchor"] ?? "start")
  }

  fileprivate func append(_ string: String) { text?.append(string) }

  fileprivate func end() {
    guard let text else { return }
    texts.append(text)
    place.text = text
    boxes.append(place)
    self.text = nil
  }
}

/// Passes what the parser finds on to a reader.
private final class Delegate: NSObject, XMLParserDelegate {
  private let reader: SVGReader

  init(_ reader: SVGReader) { self.reader = reader }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
    qualifiedName: String?, attributes: [String: String] = [:]
  ) { reader.start(name, attributes) }

  func parser(_ parser: XMLParser, foundCharacters string: String) { reader.append(string) }

  func parser(
    _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
  ) { reader.end() }
}
