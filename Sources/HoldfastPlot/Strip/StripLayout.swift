/// Where the parts of a strip plot are in a picture of a given width.
struct StripLayout {
  let plot: StripPlot
  let axis: HorizontalAxis
  /// The width of the names on the left; nil for names above their rows.
  private let nameWidth: Double?
  /// The width of the medians on the right, with the space before them.
  private let valueWidth: Double
  let size: Double
  let lineHeight: Double
  /// That of dots.
  private let radius: Double

  /// The thickness of the median's bar and of the floor's line.
  static let median = 3.0
  static let floor = 2.0

  init(_ plot: StripPlot, canvas: Canvas) {
    self.plot = plot
    size = canvas.size
    lineHeight = canvas.lineHeight
    radius = canvas.isNarrow ? 3.5 : 4.0
    let texts = plot.rows.compactMap { StripLayout.value($0, plot.axis.quantity) }
    let widest = texts.map { TextMeasure.width($0, size: canvas.size, bold: true) }.max() ?? 0
    valueWidth =
      texts.isEmpty ? 0 : max(widest, TextMeasure.width("median", size: canvas.size)) + 12

    let names = plot.rows.map { TextMeasure.width($0.name, size: canvas.size) }.max() ?? 0
    var left = canvas.margin
    var right = canvas.width - canvas.margin
    if canvas.isNarrow {
      nameWidth = nil
      left += 4
      right -= 4
    } else {
      let width = min(names, canvas.width * 0.34)
      nameWidth = width
      left += width + 14
      right -= max(valueWidth, 12)
    }
    let values = plot.rows.flatMap(\.values) + plot.references.map(\.value.value)
    axis = HorizontalAxis(plot.axis, values: values, from: left, to: right, size: canvas.size)
  }

  /// The text on the right of a row.
  static func value(_ row: StripPlot.Row, _ quantity: Quantity) -> String? {
    row.median.flatMap { $0.value.isFinite ? quantity.text($0.value) : nil }
  }

  private struct Place {
    var row: StripPlot.Row
    var names: [String]
    /// The upper edge of the row with its name.
    var top: Double
    /// The upper and lower edge of what is drawn along the axis.
    var band: (top: Double, bottom: Double)
    var heading: (text: [String], top: Double)?
  }

  /// Draws the rows below `top`, with the axis below them. Returns the lower edge.
  func draw(on canvas: inout Canvas, top: Double) -> Double {
    let references = labels(canvas, top: top)
    var edge = references.last.map { $0.bottom + 4 } ?? top
    if valueWidth > 0 {
      edge += lineHeight
      canvas.text(
        "median", x: canvas.width - canvas.margin, y: edge - 5, anchor: .end, color: .faint)
    }
    let start = edge
    var all: [Place] = []
    var group: String?
    for row in plot.rows {
      let place = self.place(row, heading: row.group != group ? row.group : nil, edge, canvas)
      group = row.group
      all.append(place)
      edge = place.band.bottom + 4
    }
    let bottom = edge + 2
    drawGrid(on: &canvas, all, top: start, bottom: bottom)
    // Not through names above the rows.
    let bands =
      nameWidth == nil ? all.map { ($0.band.top - 2, $0.band.bottom + 2) } : [(start, bottom)]
    drawReferences(references, on: &canvas, bands: bands)
    for place in all { draw(place, on: &canvas) }
    return axis.draw(on: &canvas, bottom: bottom)
  }

  private func place(
    _ row: StripPlot.Row, heading: String?, _ top: Double, _ canvas: Canvas
  ) -> Place {
    var edge = top
    var headings: [String] = []
    if let heading {
      let width = canvas.width - 2 * canvas.margin - valueWidth
      headings = TextMeasure.wrap(heading, width: width, size: size, bold: true)
      edge += 6 + Double(headings.count) * lineHeight
    }
    let above = nameWidth == nil
    let width = nameWidth ?? canvas.width - 2 * canvas.margin - valueWidth
    let names = TextMeasure.wrap(row.name, width: width, size: size, lines: above ? 4 : 3)
    let height = Double(names.count) * lineHeight
    // Rows with many runs of equal length have more room for the dots beside each other.
    let places = row.runs.filter(\.value.isFinite).map { axis.scale.place($0.value) }
    let lanes = Swarm.lanes(places, diameter: 2 * radius * 0.8).max() ?? 0
    let least = min(max(26, 2 * radius + Double(lanes) * radius), 44)
    let band =
      above
      ? (edge + height + 4, edge + height + 4 + least)
      : (edge + 4, edge + max(height + 4, least + 4) + 4)
    return Place(
      row: row, names: names, top: edge, band: band,
      heading: headings.isEmpty ? nil : (headings, top + 6))
  }

  private func drawGrid(
    on canvas: inout Canvas, _ all: [Place], top: Double, bottom: Double
  ) {
    let (left, right) = (axis.scale.start, axis.scale.end)
    if nameWidth != nil {
      axis.drawGrid(on: &canvas, top: top, bottom: bottom)
    } else {
      // Not through the names above the rows.
      for place in all {
        axis.drawGrid(on: &canvas, top: place.band.top, bottom: place.band.bottom)
      }
    }
    for place in all where nameWidth != nil && place.heading == nil && place.top > top {
      canvas.line(canvas.margin, place.top, right, place.top, .minorGrid)
    }
    if nameWidth != nil { canvas.line(left, top, left, bottom, .grid) }
  }

  // MARK: Rows

  private func draw(_ place: Place, on canvas: inout Canvas) {
    let row = place.row
    if let heading = place.heading {
      for (index, line) in heading.text.enumerated() {
        canvas.text(
          line, x: canvas.margin, y: heading.top + Double(index + 1) * lineHeight - 4, bold: true)
      }
    }
    let middle = (place.band.top + place.band.bottom) / 2
    let first =
      nameWidth == nil
      ? place.top + lineHeight - 1
      : middle - Double(place.names.count - 1) / 2 * lineHeight + size * 0.36
    for (index, line) in place.names.enumerated() {
      canvas.text(line, x: canvas.margin, y: first + Double(index) * lineHeight)
    }
    if let text = StripLayout.value(row, plot.axis.quantity) {
      canvas.text(
        text, x: canvas.width - canvas.margin,
        y: nameWidth == nil ? first : middle + size * 0.36, anchor: .end, bold: true,
        datum: row.median)
    }
    drawMarks(row, middle: middle, half: (place.band.bottom - place.band.top) / 2, on: &canvas)
    if let note = row.note {
      let width = axis.scale.end - axis.scale.start - 12
      canvas.text(
        TextMeasure.shorten(note, width: width, size: size), x: axis.scale.start + 8,
        y: middle + size * 0.36, color: .faint, halo: true)
    }
  }

  private func tooltip(_ row: StripPlot.Row, _ what: String, _ datum: Datum) -> String {
    "\(row.name), \(what): \(plot.axis.quantity.text(datum.value))"
  }

  private func drawMarks(
    _ row: StripPlot.Row, middle: Double, half: Double, on canvas: inout Canvas
  ) {
    drawParts(row, middle: middle, half: min(half - 3, 11), on: &canvas)
    if let floor = row.floor, floor.value.isFinite {
      upright(
        floor, middle: middle, half: half * 0.75, .faint, StripLayout.floor,
        tooltip(row, plot.floorName, floor), on: &canvas)
    }
    let interval = row.interval.filter(\.value.isFinite)
    for datum in interval {
      upright(
        datum, middle: middle, half: 5, row.style.color, 1.5,
        tooltip(row, "range", datum), on: &canvas)
    }
    if interval.count > 1 {
      let ends = interval.map { axis.scale.place($0.value) }.sorted()
      canvas.line(ends[0], middle, ends[ends.count - 1], middle, row.style.color, width: 1.5)
    }
    let runs = row.runs.enumerated().filter(\.element.value.isFinite)
    let offsets = Swarm.offsets(
      runs.map { axis.scale.place($0.element.value) }, diameter: 2 * radius * 0.8,
      space: half - radius)
    for ((index, datum), offset) in zip(runs, offsets) {
      let isHollow = row.noisy.contains(index) || !axis.scale.contains(datum.value)
      let marker = Marker(style: row.style, isHollow: isHollow, radius: radius)
      canvas.add(
        marker.element(
          x: axis.scale.place(datum.value), y: middle + offset, datum: datum,
          tooltip: tooltip(row, plot.runName, datum)))
    }
    if let median = row.median, median.value.isFinite, row.parts.isEmpty {
      upright(
        median, middle: middle, half: half - 1, .ink, StripLayout.median,
        tooltip(row, "median", median), on: &canvas)
    }
  }

  private func upright(
    _ datum: Datum, middle: Double, half: Double, _ color: SVGColor, _ width: Double,
    _ tooltip: String, on canvas: inout Canvas
  ) {
    let place = Markup.number(axis.scale.place(datum.value))
    canvas.add(
      Markup(
        "path",
        [
          ("d", "M\(place) \(Markup.number(middle - half))V\(Markup.number(middle + half))"),
          ("fill", "none"), ("stroke-width", Markup.number(width)),
        ] + color.stroke + datum.attributes, [Markup("title", text: tooltip)]))
  }

  private func drawParts(
    _ row: StripPlot.Row, middle: Double, half: Double, on canvas: inout Canvas
  ) {
    var sum = 0.0
    for part in row.parts where part.length.value.isFinite && part.length.value >= 0 {
      let start = axis.scale.place(sum)
      sum += part.length.value
      let end = axis.scale.place(sum)
      canvas.add(
        Markup(
          "rect",
          [
            ("x", Markup.number(start)), ("y", Markup.number(middle - half)),
            ("width", Markup.number(end - start)), ("height", Markup.number(2 * half)),
          ] + part.color.fill(outline: .page) + part.length.attributes,
          [Markup("title", text: tooltip(row, part.name, part.length))]))
    }
  }
}
