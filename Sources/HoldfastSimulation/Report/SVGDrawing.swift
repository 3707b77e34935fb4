internal import Glibc

/// An SVG drawing of panels, one below the other, with a common time axis.
struct SVGDrawing {
  let times: [Double]
  let duration: Double
  var heading = ""

  private let width = 1000.0
  private let left = 76.0
  private let right = 24.0
  private let top = 92.0
  private let panelHeight = 190.0
  private let panelGap = 66.0

  init(times: [Double], duration: Double) {
    self.times = times
    self.duration = duration
  }

  private var plotWidth: Double { width - left - right }

  func document(_ panels: [SimulationPlot.Panel]) -> String {
    let height = top + Double(panels.count) * (panelHeight + panelGap) + 10
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(number(width)) \(number(height))\" "
        + "width=\"\(number(width))\" height=\"\(number(height))\" "
        + "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" font-size=\"14\" "
        + "fill=\"#222222\">",
      "<title>\(escaped(heading))</title>",
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
      text(left, 34, heading, size: 18, weight: "bold"),
    ]
    for (index, panel) in panels.enumerated() {
      let panelTop = top + Double(index) * (panelHeight + panelGap)
      lines += draw(panel, at: panelTop)
      lines += timeAxis(at: panelTop + panelHeight, isLast: index == panels.count - 1)
    }
    lines.append("</svg>")
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: One panel

  private func draw(_ panel: SimulationPlot.Panel, at panelTop: Double) -> [String] {
    var largest = 0.0
    for series in panel.series { for value in series.values { largest = max(largest, value ?? 0) } }
    let step = panel.step ?? SVGDrawing.step(max(panel.top ?? 0, largest), ticks: 5)
    let end = panel.top.map { max($0, largest) } ?? max(step, (largest / step).rounded(.up) * step)
    func y(_ value: Double) -> Double { panelTop + panelHeight * (1 - value / end) }

    var lines: [String] = [text(left, panelTop - 14, panel.title, weight: "bold")]
    lines += legend(panel.series, right: width - right, baseline: panelTop - 14)
    var tick = 0.0
    let places = SVGDrawing.places(step)
    while tick <= end * 1.000_001 {
      lines.append(line(left, y(tick), width - right, y(tick), color: "#dddddd"))
      lines.append(text(left - 8, y(tick) + 5, number(tick, places: places), anchor: "end"))
      tick += step
    }
    lines.append(
      "<text transform=\"translate(22 \(number(panelTop + panelHeight / 2))) rotate(-90)\" "
        + "text-anchor=\"middle\">\(escaped(panel.unit))</text>")
    for series in panel.series { lines += draw(series, y) }
    lines.append(line(left, panelTop, left, panelTop + panelHeight, color: "#222222"))
    return lines
  }

  private func draw(_ series: SimulationPlot.Series, _ y: (Double) -> Double) -> [String] {
    var path = ""
    var isDown = false
    for (time, value) in zip(times, series.values) {
      guard let value else {
        isDown = false
        continue
      }
      // A single point is a line without length, which round line ends draw as a dot.
      let point = "\(number(x(time))) \(number(y(value)))"
      path += isDown ? "L\(point)" : "M\(point)l0 0L\(point)"
      isDown = true
    }
    if path.isEmpty { return [] }
    var lines: [String] = []
    if series.isFilled, let first = times.first, let last = times.last {
      let area = "\(path)L\(number(x(last))) \(number(y(0)))L\(number(x(first))) \(number(y(0)))Z"
      lines.append("<path d=\"\(area)\" fill=\"\(series.color)\" fill-opacity=\"0.12\"/>")
    }
    lines.append(
      "<path d=\"\(path)\" fill=\"none\" stroke=\"\(series.color)\" stroke-width=\"2\" "
        + "stroke-linecap=\"round\" stroke-linejoin=\"round\"\(dashes(series))/>")
    return lines
  }

  /// The names from right to left, each after a piece of its line.
  private func legend(
    _ series: [SimulationPlot.Series], right: Double, baseline: Double
  ) -> [String] {
    var lines: [String] = []
    var end = right
    for series in series.reversed() {
      lines.append(text(end, baseline, series.name, anchor: "end"))
      // The named fonts are no wider than this.
      end -= Double(series.name.count) * 8.2 + 8
      lines.append(
        "<path d=\"M\(number(end - 28)) \(number(baseline - 5))h28\" "
          + "stroke=\"\(series.color)\" stroke-width=\"2.5\"\(dashes(series))/>")
      end -= 28 + 20
    }
    return lines
  }

  private func dashes(_ series: SimulationPlot.Series) -> String {
    series.isDashed ? " stroke-dasharray=\"7 4\"" : ""
  }

  // MARK: Time

  private func x(_ time: Double) -> Double { left + plotWidth * time / duration }

  private func timeAxis(at y: Double, isLast: Bool) -> [String] {
    let (unit, seconds) =
      duration >= 2 * 86_400
      ? ("days", 86_400.0) : duration >= 7200 ? ("hours", 3600) : ("minutes", 60)
    let step = SVGDrawing.step(duration / seconds, ticks: 10)
    let places = SVGDrawing.places(step)
    var lines = [line(left, y, width - right, y, color: "#222222")]
    var tick = 0.0
    while tick * seconds <= duration * 1.000_001 {
      let place = x(tick * seconds)
      lines.append(line(place, y, place, y + 5, color: "#222222"))
      lines.append(text(place, y + 21, number(tick, places: places), anchor: "middle"))
      tick += step
    }
    if isLast {
      lines.append(
        text(left + plotWidth / 2, y + 44, "simulated time, \(unit)", anchor: "middle"))
    }
    return lines
  }

  /// The smallest step of 1, 2 or 5 times a power of ten of which at most `ticks` make the range.
  static func step(_ range: Double, ticks: Int) -> Double {
    guard range > 0 else { return 1 }
    let rough = range / Double(ticks)
    let power = pow(10, floor(log10(rough)))
    for factor in [1.0, 2, 5] where factor * power >= rough * 0.999_999 { return factor * power }
    return 10 * power
  }

  /// The number of decimals that multiples of a step need.
  private static func places(_ step: Double) -> Int {
    var places = 0
    var scaled = step
    while places < 4, (scaled - scaled.rounded()).magnitude > 1e-6 * scaled {
      places += 1
      scaled *= 10
    }
    return places
  }

  // MARK: Elements

  private func text(
    _ x: Double, _ y: Double, _ content: String, anchor: String = "start", size: Int? = nil,
    weight: String? = nil
  ) -> String {
    let size = size.map { " font-size=\"\($0)\"" } ?? ""
    let weight = weight.map { " font-weight=\"\($0)\"" } ?? ""
    return "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\"\(size)\(weight)>"
      + "\(escaped(content))</text>"
  }

  private func line(
    _ x: Double, _ y: Double, _ x2: Double, _ y2: Double, color: String
  ) -> String {
    "<line x1=\"\(number(x))\" y1=\"\(number(y))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\" "
      + "stroke=\"\(color)\"/>"
  }

  private func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }

  /// A number with a fixed number of decimals.
  private func number(_ value: Double, places: Int = 1) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 1e15 else { return "\(value)" }
    let whole = UInt64(scaled)
    let sign = value < 0 && whole > 0 ? "-" : ""
    if places == 0 { return "\(sign)\(whole)" }
    let fraction = "\(whole % UInt64(scale))"
    return "\(sign)\(whole / UInt64(scale))."
      + String(repeating: "0", count: places - fraction.count) + fraction
  }
}
