import Foundation
import HoldfastPlot
import Testing

@Suite struct ColorTests {
  @Test func `every color of a picture has a dark one`() {
    let series = (0..<8).map {
      Chart.Series("\($0)", .dottedLine, SeriesStyle($0), x: [1, 2], values: [1, 2])
    }
    let chart = Chart("title", panels: [Chart.Panel(x: Axis("x"), y: Axis("y"), series: series)])
    let svg = chart.svg(width: 960)
    let classes = Set(
      svg.split(separator: "class=\"").dropFirst()
        .flatMap { $0.prefix { $0 != "\"" }.split(separator: " ") })
    #expect(classes.contains("f-page") && classes.contains("f-ink") && classes.contains("s-grid"))
    for name in classes { #expect(svg.contains(".\(name) { "), "\(name)") }
  }

  @Test func `text and series contrast with the page`() {
    for color in SVGColor.series {
      #expect(contrast(color.light, SVGColor.page.light) >= 3, "\(color.name)")
      #expect(contrast(color.dark, SVGColor.page.dark) >= 3, "\(color.name)")
    }
    for (color, least) in [(SVGColor.ink, 7.0), (.faint, 4.5)] {
      #expect(contrast(color.light, SVGColor.page.light) >= least, "\(color.name)")
      #expect(contrast(color.dark, SVGColor.page.dark) >= least, "\(color.name)")
    }
  }

  /// The contrast ratio of WCAG 2.
  private func contrast(_ one: String, _ other: String) -> Double {
    let values = [luminance(one), luminance(other)].sorted()
    return (values[1] + 0.05) / (values[0] + 0.05)
  }

  private func linear(_ color: String) -> [Double] {
    let number = UInt32(color.dropFirst(), radix: 16) ?? 0
    return [16, 8, 0].map {
      let value = Double(number >> UInt32($0) & 255) / 255
      return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4)
    }
  }

  private func luminance(_ color: String) -> Double {
    zip(linear(color), [0.2126, 0.7152, 0.0722]).reduce(0) { $0 + $1.0 * $1.1 }
  }
}
