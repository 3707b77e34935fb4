// The series of a panel, and their names.

extension SVGDrawing {
  func draw(_ all: [SimulationPlot.Series], _ scale: Scale) -> [String] {
    var lines: [String] = []
    var tops = [Double](repeating: 0, count: times.count)
    for series in all {
      switch series.style {
      case .line, .dashed, .area: lines += line(series, scale)
      case .bar: lines += bars(series, scale, on: &tops)
      case .mark: lines += marks(series, scale)
      }
    }
    return lines
  }

  private func line(_ series: SimulationPlot.Series, _ scale: Scale) -> [String] {
    var path = ""
    var area = ""
    var start: Double?
    var last = 0.0
    func end() {
      guard let first = start else { return }
      area += "L\(number(last)) \(number(scale.bottom))L\(number(first)) \(number(scale.bottom))Z"
      start = nil
    }
    for (time, value) in zip(times, series.values) {
      guard let value else {
        end()
        continue
      }
      // A single point is a line without length, which round line ends draw as a dot.
      let place = x(time)
      let point = "\(number(place)) \(number(scale.y(value)))"
      path += start == nil ? "M\(point)l0 0" : "L\(point)"
      area += (start == nil ? "M" : "L") + point
      start = start ?? place
      last = place
    }
    end()
    if path.isEmpty { return [] }
    var lines: [String] = []
    if series.style == .area {
      lines.append("<path d=\"\(area)\" \(series.color.fill) fill-opacity=\"0.15\"/>")
    }
    lines.append(
      "<path d=\"\(path)\" fill=\"none\" \(series.color.stroke) stroke-width=\"2\" "
        + "stroke-linecap=\"round\" stroke-linejoin=\"round\"\(dashes(series))/>")
    return lines
  }

  /// Where the bar of a time begins and ends: halfway to the times beside it.
  private func bar(_ index: Int) -> (start: Double, end: Double) {
    let time = times[index]
    let before = index > 0 ? (times[index - 1] + time) / 2 : time
    let after = index + 1 < times.count ? (time + times[index + 1]) / 2 : time
    return (x(before), x(after))
  }

  private func bars(
    _ series: SimulationPlot.Series, _ scale: Scale, on tops: inout [Double]
  ) -> [String] {
    var path = ""
    for (index, value) in series.values.enumerated() {
      guard let value, value > 0 else { continue }
      let (start, end) = bar(index)
      let low = scale.y(tops[index])
      tops[index] += value
      let high = scale.y(tops[index])
      path +=
        "M\(number(start)) \(number(low))V\(number(high))H\(number(end))V\(number(low))Z"
    }
    return path.isEmpty ? [] : ["<path d=\"\(path)\" \(series.color.fill)/>"]
  }

  private func marks(_ series: SimulationPlot.Series, _ scale: Scale) -> [String] {
    var path = ""
    for (index, value) in series.values.enumerated() {
      guard let value else { continue }
      let (start, end) = bar(index)
      path += "M\(number(start)) \(number(scale.y(value)))H\(number(end))"
    }
    if path.isEmpty { return [] }
    return ["<path d=\"\(path)\" fill=\"none\" \(series.color.stroke) stroke-width=\"2.5\"/>"]
  }

  /// The names from right to left, each after a piece of its line or bar.
  func legend(
    _ all: [SimulationPlot.Series], right: Double, baseline: Double
  ) -> [String] {
    var lines: [String] = []
    var end = right
    for series in all.reversed() {
      // The named fonts are no wider than this.
      let start = end - Double(series.name.count) * 8.2
      lines.append(text(start, baseline, series.name))
      let sample = start - 8 - 28
      switch series.style {
      case .bar:
        lines.append(
          "<rect x=\"\(number(sample + 12))\" y=\"\(number(baseline - 11))\" width=\"16\" "
            + "height=\"12\" \(series.color.fill)/>")
      case .line, .dashed, .area, .mark:
        lines.append(
          "<path d=\"M\(number(sample)) \(number(baseline - 5))h28\" "
            + "\(series.color.stroke) stroke-width=\"2.5\"\(dashes(series))/>")
      }
      end = sample - 14
    }
    return lines
  }

  private func dashes(_ series: SimulationPlot.Series) -> String {
    series.style == .dashed ? " stroke-dasharray=\"7 4\"" : ""
  }
}
