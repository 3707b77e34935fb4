/// Where the parts of a panel are in a picture of a given width.
struct PanelLayout {
  let panel: Chart.Panel
  let x: Scale
  let y: Scale
  /// The upper edge of the panel with its title.
  let top: Double
  let left: Double
  let right: Double
  /// The lines of a name on an axis of categories.
  private let names: [[String]]

  /// The layout of a panel below `top`. The vertical places begin at 0 until the heading is drawn.
  /// The vertical axis is at `axis` or, where its labels need more, to the right of that.
  init(_ panel: Chart.Panel, canvas: Canvas, top: Double, axis: Double = 0) {
    self.panel = panel
    self.top = top
    let yRange = panel.y.range(of: PanelLayout.heights(panel), count: 5)
    y = Scale(range: yRange, start: panel.height, end: 0)
    let widest = PanelLayout.widest(yRange.ticks, canvas)
    left = max(axis, canvas.margin + widest + 8)

    // Labels at the ends of the horizontal axis extend beyond it.
    let space = canvas.width - canvas.margin - left
    let xValues = panel.series.flatMap { $0.points.flatMap(PanelLayout.places) }
    var xRange = panel.x.range(of: xValues, count: 10)
    for count in [10, 8, 6, 5, 4, 3, 2] {
      xRange = panel.x.range(of: xValues, count: count)
      let label = PanelLayout.widest(xRange.ticks, canvas)
      if Double(xRange.ticks.count { $0.label != nil }) * (label + 14) <= space { break }
    }
    var last = 0.0
    if case .categories(let all) = panel.x.kind {
      let slot = space / Double(max(1, all.count))
      names = all.map {
        TextMeasure.wrap($0, width: max(slot - 6, 20), size: canvas.size, lines: 3)
      }
    } else {
      names = []
      last = xRange.ticks.last?.label.map { TextMeasure.width($0, size: canvas.size) } ?? 0
    }
    right = canvas.width - canvas.margin - last / 2
    x = Scale(range: xRange, start: left, end: max(left + 40, right))
  }

  private static func widest(_ ticks: [Axis.Tick], _ canvas: Canvas) -> Double {
    ticks.reduce(0) { max($0, TextMeasure.width($1.label ?? "", size: canvas.size)) }
  }

  /// The values that the vertical axis must have: of stacked bars, their sums.
  private static func heights(_ panel: Chart.Panel) -> [Double] {
    var values = panel.references.map(\.value.value)
    var sums: [Double: Double] = [:]
    for series in panel.series {
      for point in series.points {
        guard let value = point.value else { continue }
        values += [point.low, point.high].compactMap { $0?.value }
        if series.kind == .stackedBar, value > 0 {
          sums[point.x, default: 0] += value
        } else {
          values.append(value)
        }
      }
    }
    return values + sums.values
  }

  private static func places(_ point: Chart.Point) -> [Double] {
    point.extent.map { [$0.lowerBound, $0.upperBound] } ?? [point.x]
  }

  /// Draws the panel. Returns its lower edge.
  func draw(on canvas: inout Canvas) -> Double {
    var edge = canvas.heading(panel.title, top: top, size: canvas.size)
    edge = Legend(items: legend).draw(on: &canvas, top: edge)
    if !panel.y.title.isEmpty {
      edge += canvas.lineHeight
      canvas.text(panel.y.title, x: canvas.margin, y: edge - 3, color: .faint)
    }
    edge += canvas.size * 0.7 + 2
    let moved = PanelLayout(self, moved: edge)
    moved.drawGrid(on: &canvas)
    let bottom = moved.drawHorizontalAxis(on: &canvas)
    moved.drawSeries(on: &canvas)
    moved.drawReferences(on: &canvas)
    return bottom
  }

  /// The layout with vertical places in the picture.
  private init(_ layout: PanelLayout, moved edge: Double) {
    panel = layout.panel
    x = layout.x
    y = Scale(range: layout.y.range, start: layout.panel.height + edge, end: edge)
    top = layout.top
    left = layout.left
    right = layout.x.end
    names = layout.names
  }

  private var legend: [Legend.Item] {
    panel.series.map { series in
      let sample: Legend.Sample =
        switch series.kind {
        case .bar, .stackedBar: .box(series.style.color)
        case .dots: .dot(series.style, hollow: false)
        case .line, .area, .step, .mark: .line(series.style, dot: false)
        case .dottedLine: .line(series.style, dot: true)
        }
      return Legend.Item(name: series.name, sample: sample)
    }
  }

  // MARK: Axes

  private func drawGrid(on canvas: inout Canvas) {
    var last = Double.infinity
    for tick in y.range.ticks {
      let place = y.place(tick.value)
      canvas.line(left, place, right, place, tick.label == nil ? .minorGrid : .grid)
      guard let label = tick.label, last - place >= canvas.size + 3 else { continue }
      last = place
      canvas.text(label, x: left - 8, y: place + canvas.size * 0.36, anchor: .end)
    }
    canvas.line(left, y.end, left, y.start, .ink)
  }

  private func drawHorizontalAxis(on canvas: inout Canvas) -> Double {
    let bottom = y.start
    canvas.line(left, bottom, right, bottom, .ink)
    let ticks = x.range.ticks.filter { $0.label != nil }
    if case .categories = panel.x.kind {
      for (tick, lines) in zip(ticks, names) {
        for (index, line) in lines.enumerated() {
          canvas.text(
            line, x: x.place(tick.value),
            y: bottom + canvas.lineHeight * Double(index + 1) + 2, anchor: .middle)
        }
      }
    } else {
      for tick in x.range.ticks where x.range.isLogarithmic {
        canvas.line(
          x.place(tick.value), bottom, x.place(tick.value), y.end,
          tick.label == nil ? .minorGrid : .grid)
      }
      let widths = ticks.map {
        (place: x.place($0.value), width: TextMeasure.width($0.label ?? "", size: canvas.size))
      }
      let stride = Scale.spaced(widths, gap: 8)
      for (index, tick) in ticks.enumerated() {
        let place = x.place(tick.value)
        canvas.line(place, bottom, place, bottom + 5, .ink)
        guard index % stride == 0, let label = tick.label else { continue }
        canvas.text(label, x: place, y: bottom + canvas.lineHeight + 4, anchor: .middle)
      }
    }
    let rows = max(1, names.map(\.count).max() ?? 1)
    var edge = bottom + canvas.lineHeight * Double(rows) + 8
    if !panel.x.title.isEmpty {
      for line in TextMeasure.wrap(
        panel.x.title, width: canvas.width - 2 * canvas.margin, size: canvas.size)
      {
        edge += canvas.lineHeight
        canvas.text(line, x: (left + right) / 2, y: edge - 2, anchor: .middle, color: .faint)
      }
    }
    return edge + 4
  }

  /// The lines of references, each with its name on it or, where there is another name, next to it.
  private func drawReferences(on canvas: inout Canvas) {
    var taken: [ClosedRange<Double>] = []
    for reference in panel.references where reference.value.value.isFinite {
      let place = y.place(reference.value.value)
      let text =
        reference.name + (reference.name.isEmpty ? "" : ": ")
        + panel.y.quantity.text(reference.value.value)
      canvas.add(
        Markup(
          "path",
          [
            ("d", "M\(Markup.number(left)) \(Markup.number(place))H\(Markup.number(right))"),
            ("fill", "none"), ("stroke-width", "1.5"), ("stroke-dasharray", "5 4"),
          ] + SVGColor.ink.stroke + reference.value.attributes,
          [Markup("title", text: text)]))
      let shown = TextMeasure.shorten(text, width: right - left - 8, size: canvas.size)
      // Above the line, or at the next free place below or above.
      let height = canvas.size * 1.25
      var choices = [place - 4, place + canvas.size + 3]
      for step in 1...40 {
        choices += [place - 4 - Double(step) * height, place + Double(step + 1) * height]
      }
      let baseline = choices.first { baseline in
        let box = (baseline - canvas.size)...(baseline + canvas.size * 0.25)
        return box.lowerBound >= y.end && box.upperBound <= y.start
          && !taken.contains { $0.overlaps(box) }
      }
      guard let baseline else { continue }
      taken.append((baseline - canvas.size)...(baseline + canvas.size * 0.25))
      canvas.text(shown, x: right - 4, y: baseline, anchor: .end, halo: true)
    }
  }
}
