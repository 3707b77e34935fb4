/// Where the parts of a panel are in a picture of a given width.
struct PanelLayout {
  let panel: Chart.Panel
  let x: Scale
  let y: Scale
  /// The upper edge of the panel with its title.
  let top: Double
  let left: Double
  let right: Double
  /// The lines below each place of an axis of categories.
  private let names: [[String]]
  /// The lines of each name, after its number, where names have no room at their places.
  private let numbered: [[String]]

  /// The layout of a panel below `top`. The vertical places begin at 0 until the heading is drawn.
  /// The vertical axis is at `axis` or, where its labels need more, to the right of that.
  init(_ panel: Chart.Panel, canvas: Canvas, top: Double, axis: Double = 0) {
    self.panel = panel
    self.top = top
    let yRange = panel.y.range(of: PanelLayout.heights(panel), count: 5)
    y = Scale(range: yRange, start: panel.height, end: 0)
    let widest = HorizontalAxis.widest(yRange.ticks, size: canvas.size)
    left = max(axis, canvas.margin + widest + 8)

    let space = canvas.width - canvas.margin - left
    let xValues = panel.series.flatMap { $0.points.flatMap(PanelLayout.places) }
    var axis = HorizontalAxis(
      panel.x, values: xValues, from: left, to: left + space, size: canvas.size)
    if case .categories(let all) = panel.x.kind {
      let room = space / Double(max(1, all.count)) - 8
      let wrapped = all.map { TextMeasure.wrap($0, width: room, size: canvas.size) }
      let isWhole = all.allSatisfy { name in
        name.split(separator: " ").allSatisfy {
          TextMeasure.width(String($0), size: canvas.size) <= room
        }
      }
      if isWhole && wrapped.allSatisfy({ $0.count <= 3 }) {
        (names, numbered) = (wrapped, [])
      } else {
        let width = canvas.width - 2 * canvas.margin - PanelLayout.numberWidth
        names = all.indices.map { ["\($0 + 1)"] }
        numbered = all.map { TextMeasure.wrap($0, width: width, size: canvas.size) }
      }
    } else {
      (names, numbered) = ([], [])
      // The last label extends beyond the axis.
      axis = HorizontalAxis(
        panel.x, values: xValues, from: left,
        to: left + space - axis.overhang(size: canvas.size), size: canvas.size)
    }
    x = axis.scale
    right = x.end
  }

  /// The room for the number of a name.
  private static let numberWidth = 32.0

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
      edge += canvas.lineHeight + 4
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
    numbered = layout.numbered
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
    let axis = HorizontalAxis(axis: panel.x, scale: x)
    let bottom = y.start
    guard case .categories = panel.x.kind else {
      if x.range.isLogarithmic { axis.drawGrid(on: &canvas, top: y.end, bottom: bottom) }
      return axis.draw(on: &canvas, bottom: bottom)
    }
    canvas.line(left, bottom, right, bottom, .ink)
    // Names have room at their places; numbers of very many may have none.
    let places = zip(x.range.ticks, names).map { tick, lines in
      (
        place: x.place(tick.value),
        width: lines.map { TextMeasure.width($0, size: canvas.size) }.max() ?? 0
      )
    }
    let stride = Scale.spaced(places, gap: 4)
    for (index, lines) in names.enumerated() where index % stride == 0 {
      for (row, line) in lines.enumerated() {
        canvas.text(
          line, x: places[index].place, y: bottom + canvas.lineHeight * Double(row + 1) + 2,
          anchor: .middle)
      }
    }
    let rows = max(1, names.map(\.count).max() ?? 1)
    let edge = axis.drawTitle(on: &canvas, top: bottom + canvas.lineHeight * Double(rows) + 8)
    return drawNames(on: &canvas, top: edge)
  }

  /// Draws the names that have no room below the axis, each after its number.
  private func drawNames(on canvas: inout Canvas, top: Double) -> Double {
    var edge = top
    for (index, lines) in numbered.enumerated() {
      for (row, line) in lines.enumerated() {
        edge += canvas.lineHeight
        if row == 0 {
          canvas.text(
            "\(index + 1)", x: canvas.margin + PanelLayout.numberWidth - 8, y: edge - 4,
            anchor: .end)
        }
        canvas.text(line, x: canvas.margin + PanelLayout.numberWidth, y: edge - 4)
      }
    }
    return edge
  }
}
