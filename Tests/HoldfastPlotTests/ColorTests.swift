import Foundation
import HoldfastPlot
import Testing

struct ColorTests {
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

  /// What red, green and blue become for people without one kind of cones (Machado et al., 2009).
  private static let visions: [(name: String, matrix: [[Double]])] = [
    ("all cones", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    (
      "protanopia",
      [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
      ]
    ),
    (
      "deuteranopia",
      [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
      ]
    ),
    (
      "tritanopia",
      [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
      ]
    ),
  ]

  /// CIE 1976 L*a*b*, in which a distance of 2.3 is just visible.
  private func lab(_ color: String, _ matrix: [[Double]]) -> [Double] {
    func product(_ matrix: [[Double]], _ vector: [Double]) -> [Double] {
      matrix.map { zip($0, vector).reduce(0) { $0 + $1.0 * $1.1 } }
    }
    let seen = product(matrix, linear(color)).map { min(max($0, 0), 1) }
    let primaries = [
      [0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505],
    ]
    let white = [0.9505, 1, 1.089]
    let roots = zip(product(primaries, seen), white).map { value, white in
      value / white > 0.008856 ? pow(value / white, 1.0 / 3) : 7.787 * value / white + 16.0 / 116
    }
    return [
      116 * roots[1] - 16, 500 * (roots[0] - roots[1]), 200 * (roots[1] - roots[2]),
    ]
  }

  @Test func `colors of series differ for any color vision`() {
    for (vision, matrix) in Self.visions {
      for colors in [SVGColor.series.map(\.light), SVGColor.series.map(\.dark)] {
        for (index, one) in colors.enumerated() {
          for other in colors[(index + 1)...] {
            let distance = zip(lab(one, matrix), lab(other, matrix))
              .reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            #expect(distance > 9, "\(vision): \(one) and \(other)")
          }
        }
      }
    }
  }
}
