/// An SVG picture of a given width, while it is drawn.
struct Canvas {
  /// Where a text is, by the estimate of its width.
  struct Label: Hashable {
    var text: String
    var left: Double
    var right: Double
    var top: Double
    var bottom: Double

    func overlaps(_ other: Label) -> Bool {
      left < other.right && other.left < right && top < other.bottom && other.top < bottom
    }
  }

  /// Which point of a text its place is.
  enum Anchor: String {
    case start, middle, end
  }

  /// The width, in CSS pixels.
  let width: Double
  private(set) var content: [Markup] = []
  private(set) var labels: [Label] = []

  /// A picture for a telephone: smaller text, names above what they name.
  var isNarrow: Bool { width < 560 }
  /// The font size of text.
  var size: Double { isNarrow ? 12 : 14 }
  /// The font size of the title.
  var titleSize: Double { isNarrow ? 15 : 18 }
  /// The distance of lines of text.
  var lineHeight: Double { size + 4 }
  /// The distance of everything from the edges.
  var margin: Double { isNarrow ? 6 : 12 }

  init(width: Double) {
    self.width = width.isFinite ? min(max(width, 200), 10_000) : 960
  }

  mutating func add(_ element: Markup) { content.append(element) }

  /// A line of text. It is moved, and as a last resort shortened, so that nothing of it is cut.
  mutating func text(
    _ content: String, x: Double, y: Double, anchor: Anchor = .start, size: Double? = nil,
    bold: Bool = false, color: SVGColor = .ink, halo: Bool = false, datum: Datum? = nil
  ) {
    let size = size ?? self.size
    let content = TextMeasure.shorten(content, width: width - 4, size: size, bold: bold)
    if content.isEmpty { return }
    let length = TextMeasure.width(content, size: size, bold: bold)
    let share = anchor == .start ? 0 : anchor == .middle ? 0.5 : 1
    let left = min(max(x - length * share, 2), width - 2 - length)
    labels.append(
      Label(
        text: content, left: left, right: left + length, top: y - size * 0.95,
        bottom: y + size * 0.25))
    var attributes: [Markup.Attribute] = [
      ("x", Markup.number(left + length * share)), ("y", Markup.number(y)),
      ("text-anchor", anchor == .start ? nil : anchor.rawValue),
      ("font-size", size == self.size ? nil : Markup.number(size)),
      ("font-weight", bold ? "bold" : nil),
    ]
    if halo {
      // The outline, below the letters, keeps them readable on lines and dots.
      attributes += color.fill(outline: .page)
      attributes += [
        ("stroke-width", "3"), ("stroke-linejoin", "round"), ("paint-order", "stroke"),
      ]
    } else {
      attributes += color.fill
    }
    add(Markup("text", attributes + (datum?.attributes ?? []), text: content))
  }

  mutating func line(
    _ x: Double, _ y: Double, _ x2: Double, _ y2: Double, _ color: SVGColor, width: Double = 1,
    dashes: String? = nil
  ) {
    add(
      Markup(
        "line",
        [
          ("x1", Markup.number(x)), ("y1", Markup.number(y)), ("x2", Markup.number(x2)),
          ("y2", Markup.number(y2)),
        ] + color.stroke + [
          ("stroke-width", width == 1 ? nil : Markup.number(width)), ("stroke-dasharray", dashes),
        ]))
  }

  /// Lines of text at the left edge, each below the other. Returns the bottom.
  mutating func heading(_ text: String, top: Double, size: Double) -> Double {
    if text.isEmpty { return top }
    var y = top
    for line in TextMeasure.wrap(text, width: width - 2 * margin, size: size, bold: true) {
      y += size + 4
      self.text(line, x: margin, y: y - 4, size: size, bold: true)
    }
    return y
  }

  /// The document.
  func document(height: Double, title: String) -> String {
    let height = Markup.number(height)
    let lines =
      [
        Markup("title", text: title), Markup("style", [], [Markup(source: SVGColor.styles)]),
        Markup("rect", [("width", "100%"), ("height", "100%")] + SVGColor.page.fill),
      ] + content
    let start = Markup(
      "svg",
      [
        ("xmlns", "http://www.w3.org/2000/svg"),
        ("viewBox", "0 0 \(Markup.number(width)) \(height)"), ("width", Markup.number(width)),
        ("height", height), ("role", "img"), ("aria-label", title),
        ("font-family", "DejaVu Sans, Helvetica, Arial, sans-serif"),
        ("font-size", Markup.number(size)),
      ],
      lines.map { Markup(source: "\n" + $0.source) } + [Markup(source: "\n")])
    return start.source + "\n"
  }
}
