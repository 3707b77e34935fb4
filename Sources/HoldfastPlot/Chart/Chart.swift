/// A picture of panels, each below the other.
package struct Chart: Picture {
  /// The title of the picture.
  package var title: String
  /// The panels.
  package var panels: [Panel]

  /// A picture.
  package init(_ title: String, panels: [Panel]) {
    self.title = title
    self.panels = panels
  }

  /// A diagram with its own axes.
  package struct Panel: Hashable, Sendable {
    /// The title of the panel.
    package var title: String
    /// The horizontal axis.
    package var x: Axis
    /// The vertical axis.
    package var y: Axis
    /// What is drawn, the first below the others.
    package var series: [Series]
    /// Lines across the panel at values of the vertical axis.
    package var references: [Reference]
    /// The height between the axes' ends, in CSS pixels.
    package var height: Double

    /// A panel.
    package init(
      _ title: String = "", x: Axis, y: Axis, series: [Series], references: [Reference] = [],
      height: Double = 190
    ) {
      self.title = title
      self.x = x
      self.y = y
      self.series = series
      self.references = references
      self.height = height
    }
  }

  /// The picture as an SVG document.
  package func svg(width: Double) -> String {
    let (canvas, height) = draw(width: width)
    return canvas.document(height: height, title: title)
  }

  func draw(width: Double) -> (canvas: Canvas, height: Double) {
    var canvas = Canvas(width: width)
    var y = canvas.heading(title, top: canvas.margin, size: canvas.titleSize)
    // The vertical axes are below each other.
    let left = panels.map { PanelLayout($0, canvas: canvas, top: 0).left }.max() ?? 0
    for panel in panels {
      if y > canvas.margin { y += canvas.isNarrow ? 8 : 12 }
      y = PanelLayout(panel, canvas: canvas, top: y, axis: left).draw(on: &canvas)
    }
    return (canvas, y + canvas.margin)
  }
}
