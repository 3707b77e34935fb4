// The lines of references across a panel.

extension PanelLayout {
  /// Draws the lines, and the name of each above or below it where it covers the least of the
  /// series and no other name.
  func drawReferences(on canvas: inout Canvas) {
    let references = panel.references.filter(\.value.value.isFinite)
    for reference in references {
      let place = Markup.number(y.place(reference.value.value))
      canvas.add(
        Markup(
          "path",
          [
            ("d", "M\(Markup.number(left)) \(place)H\(Markup.number(right))"), ("fill", "none"),
            ("stroke-width", "1.5"), ("stroke-dasharray", "5 4"),
          ] + SVGColor.ink.stroke + reference.value.attributes,
          [Markup("title", text: text(reference))]))
    }
    let drawn = samples
    var taken: [Canvas.Label] = []
    for reference in references {
      let text = TextMeasure.shorten(
        text(reference), width: right - left - 8, size: canvas.size)
      let width = TextMeasure.width(text, size: canvas.size)
      let line = y.place(reference.value.value)
      let free = choices(line: line, width: width, size: canvas.size)
        .filter { choice in !taken.contains { $0.overlaps(choice) } }
      // Lines of other references through a name are as bad as a series.
      let others = references.map { y.place($0.value.value) }.filter { $0 != line }
      func cost(_ box: Canvas.Label) -> Int {
        drawn.count { box.left < $0.x && $0.x < box.right && box.top < $0.y && $0.y < box.bottom }
          + 20 * others.count { box.top < $0 && $0 < box.bottom }
      }
      guard
        let best = free.enumerated().min(by: {
          // A distant place is worse than one that covers a little.
          (cost($0.element) + $0.offset / 22 * 8, $0.offset)
            < (cost($1.element) + $1.offset / 22 * 8, $1.offset)
        })?.element
      else { continue }
      taken.append(best)
      canvas.text(text, x: best.left, y: best.bottom - canvas.size * 0.25, halo: true)
    }
  }

  private func text(_ reference: Chart.Reference) -> String {
    let number = panel.y.quantity.text(reference.value.value)
    return reference.name.isEmpty ? number : "\(reference.name): \(number)"
  }

  /// Places of a name, the best first: above and below its line from right to left, then farther
  /// away.
  private func choices(line: Double, width: Double, size: Double) -> [Canvas.Label] {
    var result: [Canvas.Label] = []
    let height = size * 1.2
    for step in 0..<12 {
      for baseline in [line - 4 - Double(step) * height, line + size + 3 + Double(step) * height] {
        let (top, bottom) = (baseline - size * 0.95, baseline + size * 0.25)
        guard top >= y.end, bottom <= y.start else { continue }
        for part in 0...10 {
          let start = right - 4 - width - (right - left - 8 - width) * Double(part) / 10
          result.append(
            Canvas.Label(text: "", left: start, right: start + width, top: top, bottom: bottom))
        }
      }
    }
    return result
  }

  /// Places that the series pass, each some pixels from the next.
  private var samples: [(x: Double, y: Double)] {
    panel.series.flatMap { series in
      let places = series.points.map { point in
        point.value.map { (x: x.place(point.x), y: y.place($0)) }
      }
      return zip(places, places.dropFirst() + [nil]).flatMap {
        one, next -> [(x: Double, y: Double)] in
        guard let one else { return [] }
        guard let next, series.kind != .dots else { return [one] }
        let count = max(1, min(200, Int((next.x - one.x).magnitude / 4)))
        return (0..<count).map {
          let share = Double($0) / Double(count)
          return (one.x + (next.x - one.x) * share, one.y + (next.y - one.y) * share)
        }
      }
    }
  }
}
