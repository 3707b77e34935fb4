/// A horizontal axis of numbers with its labels.
struct HorizontalAxis {
  let axis: Axis
  let scale: Scale

  /// An axis with its scale.
  init(axis: Axis, scale: Scale) {
    self.axis = axis
    self.scale = scale
  }

  /// An axis between two places, with as many labels as fit.
  init(_ axis: Axis, values: [Double], from start: Double, to end: Double, size: Double) {
    self.axis = axis
    let space = end - start
    var range = axis.range(of: values, count: 10)
    for count in [10, 8, 6, 5, 4, 3, 2] {
      range = axis.range(of: values, count: count)
      let widest = HorizontalAxis.widest(range.ticks, size: size)
      if Double(range.ticks.count { $0.label != nil }) * (widest + 14) <= space { break }
    }
    scale = Scale(range: range, start: start, end: max(start + 40, end))
  }

  /// The width of the widest label.
  static func widest(_ ticks: [Axis.Tick], size: Double) -> Double {
    ticks.reduce(0) { max($0, TextMeasure.width($1.label ?? "", size: size)) }
  }

  /// How far the last label extends beyond the axis.
  func overhang(size: Double) -> Double {
    scale.range.ticks.last?.label.map { TextMeasure.width($0, size: size) / 2 } ?? 0
  }

  /// Draws the lines at the numbers, from the axis up to `top`.
  func drawGrid(on canvas: inout Canvas, top: Double, bottom: Double) {
    for tick in scale.range.ticks {
      let place = scale.place(tick.value)
      canvas.line(place, bottom, place, top, tick.label == nil ? .minorGrid : .grid)
    }
  }

  /// Draws the axis with labels and title. Returns the lower edge.
  func draw(on canvas: inout Canvas, bottom: Double) -> Double {
    canvas.line(scale.start, bottom, scale.end, bottom, .ink)
    let ticks = scale.range.ticks.filter { $0.label != nil }
    let widths = ticks.map {
      (
        place: scale.place($0.value),
        width: TextMeasure.width($0.label ?? "", size: canvas.size)
      )
    }
    let stride = Scale.spaced(widths, gap: 8)
    for (index, tick) in ticks.enumerated() {
      let place = scale.place(tick.value)
      canvas.line(place, bottom, place, bottom + 5, .ink)
      guard index % stride == 0, let label = tick.label else { continue }
      canvas.text(label, x: place, y: bottom + canvas.lineHeight + 4, anchor: .middle)
    }
    return drawTitle(on: &canvas, top: bottom + canvas.lineHeight + 8)
  }

  /// Draws the title below the labels. Returns the lower edge.
  func drawTitle(on canvas: inout Canvas, top: Double) -> Double {
    if axis.title.isEmpty { return top + 4 }
    var edge = top
    let width = canvas.width - 2 * canvas.margin
    for line in TextMeasure.wrap(axis.title, width: width, size: canvas.size) {
      edge += canvas.lineHeight
      canvas.text(
        line, x: (scale.start + scale.end) / 2, y: edge - 2, anchor: .middle, color: .faint)
    }
    return edge + 4
  }
}
