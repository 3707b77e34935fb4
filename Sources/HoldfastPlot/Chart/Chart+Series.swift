// The parts of a panel.

extension Chart {
  /// A point of a series.
  package struct Point: Hashable, Sendable {
    /// The place on the horizontal axis.
    package var x: Double
    /// The value; nil is a gap.
    package var y: Datum?
    /// The lower end of the error bar.
    package var low: Datum?
    /// The upper end of the error bar.
    package var high: Datum?
    /// Where a bar begins and ends, such as a bin of a histogram; nil for halfway to the points
    /// beside it.
    package var extent: ClosedRange<Double>?

    /// A point.
    package init(
      x: Double, y: Datum?, low: Datum? = nil, high: Datum? = nil,
      extent: ClosedRange<Double>? = nil
    ) {
      self.x = x
      self.y = y
      self.low = low
      self.high = high
      self.extent = extent
    }

    /// The value, if it is a finite number.
    var value: Double? { y.flatMap { $0.value.isFinite ? $0.value : nil } }
  }

  /// Points of a panel that belong together.
  package struct Series: Hashable, Sendable {
    /// How the values are drawn.
    package enum Kind: Sendable {
      /// A line from value to value.
      case line
      /// A line with a dot at each value.
      case dottedLine
      /// Dots alone. Those at one place on an axis of categories are side by side.
      case dots
      /// A line with the area below.
      case area
      /// A line that stays at a value up to the next point.
      case step
      /// A bar beside those of the other series.
      case bar
      /// A bar on those of the series before.
      case stackedBar
      /// A short line around each point, across the bars.
      case mark
    }

    /// The name in the legend.
    package var name: String
    /// How the values are drawn.
    package var kind: Kind
    /// The color, dashes and shape.
    package var style: SeriesStyle
    /// The points, from left to right.
    package var points: [Point]

    /// A series.
    package init(
      _ name: String, _ kind: Kind = .dottedLine, _ style: SeriesStyle, points: [Point]
    ) {
      self.name = name
      self.kind = kind
      self.style = style
      self.points = points
    }

    /// A series of values at places.
    package init(
      _ name: String, _ kind: Kind = .line, _ style: SeriesStyle, x: [Double], values: [Double?]
    ) {
      self.init(
        name, kind, style,
        points: zip(x, values).map { x, value in Point(x: x, y: value.map { Datum($0) }) })
    }
  }

  /// A published or computed number beside the measured ones: a dashed line with its name.
  package struct Reference: Hashable, Sendable {
    /// The name, with the source.
    package var name: String
    /// The number.
    package var value: Datum

    /// A reference.
    package init(_ name: String, _ value: Datum) {
      self.name = name
      self.value = value
    }
  }
}
