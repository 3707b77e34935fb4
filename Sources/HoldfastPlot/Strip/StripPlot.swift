/// A picture of numbers by category: a row for each category, with its numbers along a common axis.
///
/// A run is a dot, the median a bar across the row, and the floor a shorter line. Shares of a whole
/// are stacked bars.
package struct StripPlot: Picture {
  /// A part of a stacked bar.
  package struct Part: Hashable, Sendable {
    /// The name in the legend.
    package var name: String
    /// The color.
    package var color: SVGColor
    /// The length.
    package var length: Datum

    /// A part.
    package init(_ name: String, _ color: SVGColor, _ length: Datum) {
      self.name = name
      self.color = color
      self.length = length
    }
  }

  /// A category.
  package struct Row: Hashable, Sendable {
    /// The name: on the left or, in a narrow picture, above the row.
    package var name: String
    /// The heading above the first row of a group.
    package var group: String?
    /// The look of the dots.
    package var style: SeriesStyle
    /// A number for each run.
    package var runs: [Datum]
    /// The indices of the runs during which the host did other work; their dots are hollow.
    package var noisy: Set<Int> = []
    /// The median, also written on the right.
    package var median: Datum?
    /// The least that the category can have.
    package var floor: Datum?
    /// The lower and the upper end of an error bar.
    package var interval: [Datum]
    /// The parts of a stacked bar.
    package var parts: [Part]
    /// Why the row has no numbers.
    package var note: String?

    /// A category.
    package init(
      _ name: String, group: String? = nil, style: SeriesStyle = SeriesStyle(0),
      runs: [Datum] = [], median: Datum? = nil, floor: Datum? = nil, interval: [Datum] = [],
      parts: [Part] = [], note: String? = nil
    ) {
      self.name = name
      self.group = group
      self.style = style
      self.runs = runs
      self.median = median
      self.floor = floor
      self.interval = interval
      self.parts = parts
      self.note = note
    }

    /// All numbers that the axis must have.
    var values: [Double] {
      let numbers = runs + interval + [median, floor].compactMap { $0 }
      // A bar begins at 0 on a linear axis, which has it.
      return numbers.map(\.value) + (parts.isEmpty ? [] : [total])
    }

    /// The length of the stacked bar.
    var total: Double {
      parts.reduce(0) { $0 + ($1.length.value.isFinite ? max(0, $1.length.value) : 0) }
    }
  }

  /// Rows of one look, in the legend.
  package struct Family: Hashable, Sendable {
    /// What the rows have in common.
    package var name: String
    /// The look of their dots.
    package var style: SeriesStyle

    /// A family.
    package init(_ name: String, _ style: SeriesStyle) {
      self.name = name
      self.style = style
    }
  }

  /// The title of the picture.
  package var title: String
  /// The axis of the numbers.
  package var axis: Axis
  /// The rows, from top to bottom.
  package var rows: [Row]
  /// The looks of rows in the legend; none where one dot says enough.
  package var families: [Family]
  /// Lines across all rows.
  package var references: [Chart.Reference]
  /// What a dot is, in the legend.
  package var runName: String
  /// What a floor is, in the legend.
  package var floorName: String

  /// A picture.
  package init(
    _ title: String, axis: Axis, rows: [Row], families: [Family] = [],
    references: [Chart.Reference] = [], runName: String = "one run", floorName: String = "floor"
  ) {
    self.title = title
    self.axis = axis
    self.rows = rows
    self.families = families
    self.references = references
    self.runName = runName
    self.floorName = floorName
  }

  /// The picture as an SVG document.
  package func svg(width: Double) -> String {
    let (canvas, height) = draw(width: width)
    return canvas.document(height: height, title: title)
  }

  func draw(width: Double) -> (canvas: Canvas, height: Double) {
    var canvas = Canvas(width: width)
    var edge = canvas.heading(title, top: canvas.margin, size: canvas.titleSize)
    edge = Legend(items: legend).draw(on: &canvas, top: edge + 2)
    edge = StripLayout(self, canvas: canvas).draw(on: &canvas, top: edge + 6)
    return (canvas, edge + canvas.margin)
  }

  private var legend: [Legend.Item] {
    var items: [Legend.Item] = []
    if rows.contains(where: { !$0.runs.isEmpty }) {
      items += families.map { Legend.Item(name: $0.name, sample: .dot($0.style, hollow: false)) }
      let style = rows.first { !$0.runs.isEmpty }?.style ?? SeriesStyle(0)
      if families.isEmpty {
        items.append(Legend.Item(name: runName, sample: .dot(style, hollow: false)))
      }
    }
    if rows.contains(where: { !$0.noisy.isEmpty }) {
      items.append(
        Legend.Item(name: "noisy run", sample: .dot(SeriesStyle(.ink), hollow: true)))
    }
    if rows.contains(where: { $0.median != nil && $0.parts.isEmpty }) {
      items.append(
        Legend.Item(name: "median", sample: .upright(.ink, width: StripLayout.median, height: 16)))
    }
    if rows.contains(where: { $0.floor != nil }) {
      items.append(
        Legend.Item(
          name: floorName, sample: .upright(.faint, width: StripLayout.floor, height: 12)))
    }
    for part in rows.flatMap(\.parts) where !items.contains(where: { $0.name == part.name }) {
      items.append(Legend.Item(name: part.name, sample: .box(part.color)))
    }
    return items
  }
}
