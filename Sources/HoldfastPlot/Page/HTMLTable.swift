/// A table of a page.
package struct HTMLTable: Hashable, Sendable {
  /// A cell.
  package enum Cell: Hashable, Sendable {
    /// Text, to the left.
    case text([HTMLPage.Inline])
    /// A number, to the right.
    case number(Datum, Quantity)
    /// Numbers with text between them, to the right, such as `1.2 (1.1 to 1.4)`.
    case numbers([HTMLPage.Inline])
    /// No number, and why.
    case missing(String)

    /// A cell of text.
    package static func text(_ text: String) -> Cell { .text([.text(text)]) }
  }

  /// What the table shows; empty for no caption.
  package var caption: String
  /// The names of the columns.
  package var columns: [String]
  private var names: [[HTMLPage.Inline]] = []
  private var cells: [[Cell]] = []

  /// A table.
  package init(_ caption: String = "", columns: [String]) {
    self.caption = caption
    self.columns = columns
  }

  /// Adds a row.
  package mutating func add(_ name: String, _ cells: [Cell]) {
    add([.text(name)], cells)
  }

  /// Adds a row whose name has more than text.
  package mutating func add(_ name: [HTMLPage.Inline], _ cells: [Cell]) {
    names.append(name)
    self.cells.append(cells)
  }

  /// The table in a box of its own, which scrolls where the window is too narrow.
  var markup: Markup {
    // A column is to the right if its cells are.
    let right = columns.indices.map { column in
      column > 0 && cells.contains { $0.indices.contains(column - 1) && $0[column - 1].isNumber }
    }
    let head = Markup(
      "tr", [],
      zip(columns, right).map { name, right in
        Markup("th", [("scope", "col"), ("class", right ? "number" : nil)], text: name)
      })
    let body = zip(names, cells).map { name, cells in
      Markup(
        "tr", [],
        [Markup("th", [("scope", "row")], name.map(\.markup))] + cells.map(\.markup))
    }
    var parts = [Markup("thead", [], [head]), Markup("tbody", [], body)]
    if !caption.isEmpty { parts.insert(Markup("caption", text: caption), at: 0) }
    return Markup(
      "div", [("class", "table"), ("tabindex", "0")], [Markup("table", [], parts)])
  }
}

extension HTMLTable.Cell {
  fileprivate var isNumber: Bool {
    switch self {
    case .text: false
    case .number, .numbers, .missing: true
    }
  }

  fileprivate var markup: Markup {
    switch self {
    case .text(let pieces): Markup("td", [("class", "text")], pieces.map(\.markup))
    case .number(let datum, let quantity):
      Markup("td", [("class", "number")] + datum.attributes, text: quantity.text(datum.value))
    case .numbers(let pieces): Markup("td", [("class", "number")], pieces.map(\.markup))
    case .missing(let why):
      Markup("td", [("class", "missing")], text: why.isEmpty ? "\u{2013}" : why)
    }
  }
}
