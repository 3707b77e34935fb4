internal import Glibc

/// An SVG drawing of panels, one below the other, with a common time axis.
struct SVGDrawing {
  let times: [Double]
  let duration: Double
  var heading = ""

  private let width = 1000.0
  let left = 80.0
  private let right = 24.0
  private let top = 92.0
  private let panelHeight = 190.0
  private let panelGap = 90.0

  init(times: [Double], duration: Double) {
    self.times = times
    self.duration = duration
  }

  var plotWidth: Double { width - left - right }

  func document(_ panels: [SimulationPlot.Panel]) -> String {
    let height = top + Double(panels.count) * (panelHeight + panelGap) - 22
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(number(width)) \(number(height))\" "
        + "width=\"\(number(width))\" height=\"\(number(height))\" "
        + "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" font-size=\"14\">",
      "<title>\(escaped(heading))</title>", SVGColor.styleSheet,
      "<rect width=\"100%\" height=\"100%\" \(SVGColor.page.fill)/>",
      text(left, 34, heading, size: 18, weight: "bold"),
    ]
    for (index, panel) in panels.enumerated() {
      let panelTop = top + Double(index) * (panelHeight + panelGap)
      lines += draw(panel, at: panelTop)
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
    let bottom = panelTop + panelHeight
    let scale = Scale(bottom: bottom, height: panelHeight, end: end)

    var lines: [String] = [text(left, panelTop - 14, panel.title, weight: "bold")]
    lines += legend(panel.series, right: width - right, baseline: panelTop - 14)
    var tick = 0.0
    let places = SVGDrawing.places(step)
    while tick <= end * 1.000_001 {
      let y = scale.y(tick)
      lines.append(line(left, y, width - right, y, .grid))
      lines.append(text(left - 8, y + 5, number(tick, places: places), anchor: "end"))
      tick += step
    }
    lines.append(
      "<text transform=\"translate(20 \(number(panelTop + panelHeight / 2))) rotate(-90)\" "
        + "text-anchor=\"middle\" \(SVGColor.ink.fill)>\(escaped(panel.axis))</text>")
    lines.append(line(left, panelTop, left, bottom, .ink))
    lines += timeAxis(at: bottom)
    // On the axes, so that a line along one of them is visible.
    return lines + draw(panel.series, scale)
  }

  /// A vertical axis from 0 up to a value.
  struct Scale {
    let bottom: Double
    let height: Double
    let end: Double

    func y(_ value: Double) -> Double { bottom - height * value / end }
  }

  // MARK: Time

  func x(_ time: Double) -> Double { left + plotWidth * time / duration }

  private func timeAxis(at y: Double) -> [String] {
    let (unit, seconds) =
      duration >= 2 * 86_400
      ? ("days", 86_400.0)
      : duration >= 7200 ? ("hours", 3600) : duration >= 120 ? ("minutes", 60) : ("seconds", 1)
    let step = SVGDrawing.step(duration / seconds, ticks: 10)
    let places = SVGDrawing.places(step)
    var lines = [line(left, y, width - right, y, .ink)]
    var tick = 0.0
    while tick * seconds <= duration * 1.000_001 {
      let place = x(tick * seconds)
      lines.append(line(place, y, place, y + 5, .ink))
      lines.append(text(place, y + 21, number(tick, places: places), anchor: "middle"))
      tick += step
    }
    lines.append(text(left + plotWidth / 2, y + 42, "simulated time, \(unit)", anchor: "middle"))
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
}
