// The names of references above the rows, and their lines across the rows.

extension StripLayout {
  struct Label {
    var reference: Chart.Reference
    /// The place of the line.
    var place: Double
    var lines: [String]
    var left: Double
    var width: Double
    var top = 0.0
    var bottom = 0.0
  }

  /// The names of the references, one below the other, each beside its line: on the right or, where
  /// that has too little room, on the left.
  func labels(_ canvas: Canvas, top: Double) -> [Label] {
    let all = plot.references.filter { $0.value.value.isFinite }.map { label($0, canvas) }
    // A line passes the names below its own. From the right in, no line crosses a name on the left
    // of its own line; from the left in, none crosses one on the right.
    let left = all.filter { $0.left < $0.place }.sorted { $0.place > $1.place }
    let right = all.filter { $0.left >= $0.place }.sorted { $0.place < $1.place }
    let order = [left + right, right + left].min { crossings($0) < crossings($1) } ?? []
    var edge = top
    return order.map { label in
      var label = label
      label.top = edge
      edge += Double(label.lines.count) * lineHeight
      label.bottom = edge
      return label
    }
  }

  private func label(_ reference: Chart.Reference, _ canvas: Canvas) -> Label {
    let text =
      (reference.name.isEmpty ? "" : reference.name + ": ")
      + plot.axis.quantity.text(reference.value.value)
    let place = axis.scale.place(reference.value.value)
    let right = canvas.width - canvas.margin
    // In the side with more room, which is half of the width at least.
    let room = max(place - 5 - canvas.margin, right - place - 5)
    let limit = min(room, canvas.isNarrow ? room : canvas.width / 2)
    let lines = TextMeasure.wrap(text, width: limit, size: size)
    let width = lines.map { TextMeasure.width($0, size: size) }.max() ?? 0
    var left = place + 5
    if left + width > right { left = place - 5 - width }
    // Where estimates leave too little room on both sides, the line begins below the name.
    if left < canvas.margin { left = min(max(canvas.margin, place - width / 2), right - width) }
    return Label(reference: reference, place: place, lines: lines, left: left, width: width)
  }

  private func crossings(_ labels: [Label]) -> Int {
    labels.indices.reduce(0) { sum, index in
      let line = labels[index].place
      return sum
        + labels[(index + 1)...].count { $0.left < line && line < $0.left + $0.width }
    }
  }

  func drawReferences(_ labels: [Label], on canvas: inout Canvas, bands: [(Double, Double)]) {
    guard let first = bands.first else { return }
    for label in labels {
      let isBeside = label.left >= label.place || label.left + label.width <= label.place
      let start = isBeside ? label.top + 3 : label.bottom
      let place = Markup.number(label.place)
      let under = labels.last?.bottom ?? start
      var path = "M\(place) \(Markup.number(start))V\(Markup.number(under))"
      for band in bands {
        // One line from the name on, unless something is between them.
        let from = bands.count == 1 && band == first ? under : band.0
        path += "M\(place) \(Markup.number(from))V\(Markup.number(band.1))"
      }
      canvas.add(
        Markup(
          "path",
          [
            ("d", path), ("fill", "none"), ("stroke-width", "1.5"), ("stroke-dasharray", "5 4"),
          ] + SVGColor.ink.stroke + label.reference.value.attributes,
          [Markup("title", text: label.lines.joined(separator: " "))]))
    }
    for label in labels {
      for (index, line) in label.lines.enumerated() {
        canvas.text(
          line, x: label.left, y: label.top + Double(index + 1) * lineHeight - 4, halo: true)
      }
    }
  }
}
