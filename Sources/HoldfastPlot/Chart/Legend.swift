/// The names of series, each after a sample of how it is drawn, in as many lines as they need.
struct Legend {
  /// What stands before a name.
  enum Sample {
    case line(SeriesStyle, dot: Bool)
    case dot(SeriesStyle, hollow: Bool)
    case box(SVGColor)
    /// A line across the row of a strip plot, of a thickness and height.
    case upright(SVGColor, width: Double, height: Double)
    case reference
  }

  /// A name with its sample.
  struct Item {
    var name: String
    var sample: Sample

    var sampleWidth: Double {
      switch sample {
      case .line, .reference: 28
      case .dot, .box: 16
      case .upright: 10
      }
    }
  }

  var items: [Item]

  /// Draws the legend at the left edge. Returns its bottom.
  func draw(on canvas: inout Canvas, top: Double) -> Double {
    var x = canvas.margin
    var y = top
    let edge = canvas.width - canvas.margin
    for item in items where !item.name.isEmpty {
      let space = edge - canvas.margin - item.sampleWidth - 6
      let lines = TextMeasure.wrap(item.name, width: space, size: canvas.size)
      let width = lines.map { TextMeasure.width($0, size: canvas.size) }.max() ?? 0
      if y == top || x + item.sampleWidth + 6 + width > edge {
        x = canvas.margin
        y += canvas.lineHeight + 2
      }
      draw(item.sample, x: x, y: y - canvas.size * 0.36, on: &canvas)
      for (index, line) in lines.enumerated() {
        if index > 0 { y += canvas.lineHeight }
        canvas.text(line, x: x + item.sampleWidth + 6, y: y)
      }
      x += item.sampleWidth + 6 + width + 18
      // What follows lines of text begins a line.
      if lines.count > 1 { x = edge }
    }
    return y == top ? top : y + 4
  }

  private func draw(_ sample: Sample, x: Double, y: Double, on canvas: inout Canvas) {
    switch sample {
    case .line(let style, let dot):
      canvas.add(
        Markup(
          "path",
          [("d", "M\(Markup.number(x)) \(Markup.number(y))h28"), ("fill", "none")]
            + style.color.stroke + [
              ("stroke-width", "2.5"), ("stroke-dasharray", style.dashes),
            ]))
      if dot { canvas.add(Marker(style: style).element(x: x + 14, y: y)) }
    case .dot(let style, let hollow):
      canvas.add(Marker(style: style, isHollow: hollow).element(x: x + 8, y: y))
    case .box(let color):
      canvas.add(
        Markup(
          "rect",
          [
            ("x", Markup.number(x)), ("y", Markup.number(y - 6)), ("width", "16"),
            ("height", "12"),
          ] + color.fill))
    case .upright(let color, let width, let height):
      canvas.line(x + 5, y - height / 2, x + 5, y + height / 2, color, width: width)
    case .reference:
      canvas.line(x, y, x + 28, y, .ink, width: 1.5, dashes: "5 4")
    }
  }
}
