// The series of a panel.

extension PanelLayout {
  func drawSeries(on canvas: inout Canvas) {
    let all = panel.series
    var tops: [Double: Double] = [:]
    let beside = all.count { $0.kind == .bar }
    var bars = 0
    for series in all {
      switch series.kind {
      case .line, .area, .step, .dottedLine: drawLine(series, on: &canvas)
      case .dots: drawDots(series, on: &canvas)
      case .stackedBar: drawBars(series, on: &tops, &canvas)
      case .bar:
        drawBars(series, number: bars, of: beside, &canvas)
        bars += 1
      case .mark: drawMarks(series, on: &canvas)
      }
      drawErrors(series, on: &canvas)
    }
  }

  private func tooltip(_ series: Chart.Series, _ point: Chart.Point) -> String {
    var place = panel.x.quantity.text(point.x)
    if case .categories(let names) = panel.x.kind {
      place = Int(exactly: point.x).flatMap { names.indices.contains($0) ? names[$0] : nil } ?? ""
    }
    let value = point.value.map(panel.y.quantity.text) ?? ""
    return [series.name, place, value].filter { !$0.isEmpty }.joined(separator: ", ")
  }

  // MARK: Lines and dots

  private func drawLine(_ series: Chart.Series, on canvas: inout Canvas) {
    var path = ""
    var area = ""
    var start: Double?
    var last = 0.0
    let bottom = Markup.number(y.start)
    func end() {
      guard let first = start else { return }
      area += "L\(Markup.number(last)) \(bottom)L\(Markup.number(first)) \(bottom)Z"
      start = nil
    }
    for point in series.points {
      guard let value = point.value, point.x.isFinite else {
        end()
        continue
      }
      // A single point is a line without length, which round line ends draw as a dot.
      let place = x.place(point.x)
      let height = Markup.number(y.place(value))
      let corner =
        series.kind == .step && start != nil
        ? "H\(Markup.number(place))V\(height)" : "L\(Markup.number(place)) \(height)"
      path += start == nil ? "M\(Markup.number(place)) \(height)l0 0" : corner
      area += start == nil ? "M\(Markup.number(place)) \(height)" : corner
      start = start ?? place
      last = place
    }
    end()
    if path.isEmpty { return }
    if series.kind == .area {
      canvas.add(
        Markup(
          "path", [("d", area)] + series.style.color.fill + [("fill-opacity", "0.15")]))
    }
    canvas.add(
      Markup(
        "path",
        [("d", path), ("fill", "none")] + series.style.color.stroke + [
          ("stroke-width", "2"), ("stroke-linecap", "round"), ("stroke-linejoin", "round"),
          ("stroke-dasharray", series.style.dashes),
        ]))
    drawPoints(series, on: &canvas)
  }

  /// The dots of a line, and for other lines the places of the numbers that have a source.
  private func drawPoints(_ series: Chart.Series, on canvas: inout Canvas) {
    for point in series.points {
      guard let value = point.value, let datum = point.y, point.x.isFinite else { continue }
      let (place, height) = (x.place(point.x), y.place(value))
      if series.kind == .dottedLine {
        let marker = Marker(
          style: series.style, isHollow: !y.contains(value) || !x.contains(point.x))
        canvas.add(
          marker.element(x: place, y: height, datum: datum, tooltip: tooltip(series, point)))
      } else if datum.key != nil {
        canvas.add(
          Markup(
            "circle",
            [
              ("cx", Markup.number(place)), ("cy", Markup.number(height)), ("r", "4"),
              ("fill-opacity", "0"),
            ] + datum.attributes, [Markup("title", text: tooltip(series, point))]))
      }
    }
  }

  private func drawDots(_ series: Chart.Series, on canvas: inout Canvas) {
    let points = series.points.filter { $0.value != nil && $0.x.isFinite }
    var offsets = [Double](repeating: 0, count: points.count)
    if case .categories(let names) = panel.x.kind {
      let slot = (x.end - x.start) / Double(max(1, names.count))
      for place in Set(points.map(\.x)) {
        let indices = points.indices.filter { points[$0].x == place }
        let swarm = Swarm.offsets(
          indices.map { y.place(points[$0].value ?? 0) }, diameter: 7, space: slot * 0.4)
        for (index, offset) in zip(indices, swarm) { offsets[index] = offset }
      }
    }
    for (point, offset) in zip(points, offsets) {
      guard let value = point.value else { continue }
      let marker = Marker(style: series.style, isHollow: !y.contains(value) || !x.contains(point.x))
      canvas.add(
        marker.element(
          x: x.place(point.x) + offset, y: y.place(value), datum: point.y,
          tooltip: tooltip(series, point)))
    }
  }

  private func drawErrors(_ series: Chart.Series, on canvas: inout Canvas) {
    for point in series.points {
      guard let low = point.low, let high = point.high, low.value.isFinite, high.value.isFinite
      else { continue }
      let place = Markup.number(x.place(point.x))
      let bottom = Markup.number(y.place(low.value))
      let top = Markup.number(y.place(high.value))
      // Each end is its own element, with its own number.
      for (datum, height) in [(low, bottom), (high, top)] {
        canvas.add(
          Markup(
            "path",
            [("d", "M\(place) \(height)m-4 0h8"), ("fill", "none")] + series.style.color.stroke
              + [("stroke-width", "1.5")] + datum.attributes,
            [Markup("title", text: panel.y.quantity.text(datum.value))]))
      }
      canvas.add(
        Markup(
          "path",
          [("d", "M\(place) \(bottom)V\(top)"), ("fill", "none")] + series.style.color.stroke
            + [("stroke-width", "1.5")]))
    }
  }

  // MARK: Bars

  /// Where the bar of a point begins and ends: halfway to the points beside it.
  private func extent(_ points: [Chart.Point], _ index: Int) -> (start: Double, end: Double) {
    let point = points[index]
    if let extent = point.extent {
      return (x.place(extent.lowerBound), x.place(extent.upperBound))
    }
    let place = x.place(point.x)
    if case .categories = panel.x.kind {
      let half = (x.end - x.start) / (x.range.high - x.range.low) * 0.36
      return (place - half, place + half)
    }
    let before = index > 0 ? (x.place(points[index - 1].x) + place) / 2 : place
    let after = index + 1 < points.count ? (place + x.place(points[index + 1].x)) / 2 : place
    return (before, after)
  }

  private func drawBars(
    _ series: Chart.Series, on tops: inout [Double: Double], _ canvas: inout Canvas
  ) {
    var shapes: [(path: String, point: Chart.Point)] = []
    for (index, point) in series.points.enumerated() {
      guard let value = point.value, value > 0 else { continue }
      let (start, end) = extent(series.points, index)
      let below = tops[point.x, default: 0]
      tops[point.x] = below + value
      let path = PanelLayout.bar(start, end, y.place(below), y.place(below + value))
      shapes.append((path, point))
    }
    add(shapes, of: series, on: &canvas)
  }

  private func drawBars(
    _ series: Chart.Series, number: Int, of count: Int, _ canvas: inout Canvas
  ) {
    var shapes: [(path: String, point: Chart.Point)] = []
    for (index, point) in series.points.enumerated() {
      guard let value = point.value else { continue }
      let (start, end) = extent(series.points, index)
      let width = (end - start) / Double(count)
      let from = start + width * Double(number)
      let path = PanelLayout.bar(from, from + width, y.place(0), y.place(value))
      shapes.append((path, point))
    }
    add(shapes, of: series, on: &canvas)
  }

  private static func bar(
    _ start: Double, _ end: Double, _ low: Double, _ high: Double
  ) -> String {
    "M\(Markup.number(start)) \(Markup.number(low))V\(Markup.number(high))"
      + "H\(Markup.number(end))V\(Markup.number(low))Z"
  }

  /// One shape for all bars, unless their numbers have sources.
  private func add(
    _ shapes: [(path: String, point: Chart.Point)], of series: Chart.Series,
    on canvas: inout Canvas
  ) {
    if shapes.isEmpty { return }
    guard shapes.contains(where: { $0.point.y?.key != nil }) else {
      let path = shapes.map(\.path).joined()
      canvas.add(Markup("path", [("d", path)] + series.style.color.fill))
      return
    }
    for (path, point) in shapes {
      canvas.add(
        Markup(
          "path", [("d", path)] + series.style.color.fill + (point.y?.attributes ?? []),
          [Markup("title", text: tooltip(series, point))]))
    }
  }

  private func drawMarks(_ series: Chart.Series, on canvas: inout Canvas) {
    var shapes: [(path: String, point: Chart.Point)] = []
    for (index, point) in series.points.enumerated() {
      guard let value = point.value else { continue }
      let (start, end) = extent(series.points, index)
      let height = Markup.number(y.place(value))
      shapes.append(("M\(Markup.number(start)) \(height)H\(Markup.number(end))", point))
    }
    if shapes.isEmpty { return }
    let line: [Markup.Attribute] =
      [("fill", "none")] + series.style.color.stroke + [("stroke-width", "2.5")]
    guard shapes.contains(where: { $0.point.y?.key != nil }) else {
      canvas.add(Markup("path", [("d", shapes.map(\.path).joined())] + line))
      return
    }
    for (path, point) in shapes {
      canvas.add(
        Markup(
          "path", [("d", path)] + line + (point.y?.attributes ?? []),
          [Markup("title", text: tooltip(series, point))]))
    }
  }
}
