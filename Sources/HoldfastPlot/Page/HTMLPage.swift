/// A page as one HTML document without scripts that loads nothing, for any width of a window and
/// for paper, light or dark as the reader prefers.
package struct HTMLPage: Sendable {
  /// A piece of a paragraph or of a cell.
  package enum Inline: Hashable, Sendable {
    /// Text.
    case text(String)
    /// Text in bold letters.
    case strong(String)
    /// Words of a program.
    case code(String)
    /// A number, written as its quantity is, that has a source.
    case number(Datum, Quantity)
    /// A number as the caller writes it, such as `6 of 11`.
    case written(String, Datum)
    /// A link to another place of the page, or to another page.
    case link(String, to: String)
  }

  /// A part of a section.
  package enum Part: Sendable {
    /// A paragraph.
    case paragraph([Inline])
    /// A list.
    case list([[Inline]])
    /// A table.
    case table(HTMLTable)
    /// A picture with a caption.
    case picture(any Picture, caption: [Inline] = [])
    /// Lines of a program or of its output.
    case lines(String)
    /// Parts that the reader opens.
    case details(String, [Part])
  }

  /// A section with its heading.
  package struct Section: Sendable {
    /// The heading.
    package var title: String
    /// The name for links, without `#`.
    package var name: String?
    /// The parts.
    package var parts: [Part]

    /// A section.
    package init(_ title: String, name: String? = nil, _ parts: [Part]) {
      self.title = title
      self.name = name
      self.parts = parts
    }
  }

  /// The title, which is also the heading.
  package var title: String
  /// What is between the heading and the first section.
  package var introduction: [Part]
  /// The sections.
  package var sections: [Section]

  /// A page.
  package init(_ title: String, introduction: [Part] = [], sections: [Section] = []) {
    self.title = title
    self.introduction = introduction
    self.sections = sections
  }

  /// The widths of pictures in a wide and in a narrow window, in CSS pixels.
  static let widths = (wide: 960.0, narrow: 360.0)

  /// The document.
  package var html: String {
    let head = Markup(
      "head", [],
      [
        Markup("meta", [("charset", "utf-8")]),
        Markup(
          "meta", [("name", "viewport"), ("content", "width=device-width, initial-scale=1")]),
        Markup("meta", [("name", "color-scheme"), ("content", "light dark")]),
        Markup("title", text: title),
        Markup("style", [], [Markup(source: HTMLStyle.sheet)]),
      ])
    let body =
      [Markup("h1", text: title)] + introduction.map(HTMLPage.markup)
      + sections.map { section in
        Markup(
          "section", [("id", section.name)],
          [Markup("h2", text: section.title)] + section.parts.map(HTMLPage.markup))
      }
    let page = Markup(
      "html", [("lang", "en")],
      [head, Markup("body", [], [Markup("main", [], body)])])
    return "<!DOCTYPE html>\n" + page.source + "\n"
  }

  private static func markup(_ part: Part) -> Markup {
    switch part {
    case .paragraph(let pieces): Markup("p", [], pieces.map(\.markup))
    case .list(let items): Markup("ul", [], items.map { Markup("li", [], $0.map(\.markup)) })
    case .table(let table): table.markup
    case .picture(let picture, let caption): figure(picture, caption)
    case .lines(let lines):
      Markup("pre", [("tabindex", "0")], [Markup(source: escapedLines(lines))])
    case .details(let summary, let parts):
      Markup("details", [], [Markup("summary", text: summary)] + parts.map(markup))
    }
  }

  /// A picture for each width; the style sheet shows one of them.
  private static func figure(_ picture: any Picture, _ caption: [Inline]) -> Markup {
    var parts = [("wide", widths.wide), ("narrow", widths.narrow)].map { name, width in
      Markup("div", [("class", name)], [Markup(source: picture.svg(width: width))])
    }
    if !caption.isEmpty { parts.append(Markup("figcaption", [], caption.map(\.markup))) }
    return Markup("figure", [], parts)
  }

  private static func escapedLines(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false)
      .map { Markup.escaped(String($0)) }.joined(separator: "\n")
  }
}

extension HTMLPage.Inline {
  /// The piece as HTML.
  var markup: Markup {
    switch self {
    case .text(let text): Markup(text: text)
    case .strong(let text): Markup("strong", text: text)
    case .code(let text): Markup("code", text: text)
    case .number(let datum, let quantity):
      Markup("span", datum.attributes, text: quantity.text(datum.value))
    case .written(let text, let datum): Markup("span", datum.attributes, text: text)
    case .link(let text, let target):
      Markup("a", [("href", HTMLPage.Inline.isSafe(target) ? target : nil)], text: text)
    }
  }

  /// Whether a link leads to a place or a page, and does not run a script.
  private static func isSafe(_ target: String) -> Bool {
    if target.hasPrefix("#") || target.hasPrefix("https://") { return true }
    // A relative path has no scheme.
    return !target.contains(":") && !target.hasPrefix("//")
  }
}
