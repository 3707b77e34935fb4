import HoldfastStatistics
import Testing

struct MinistatReportTests {
  static let iguana = MinistatReport.Sample(
    label: "iguana", values: [50, 200, 150, 400, 750, 400, 150])
  static let chameleon = MinistatReport.Sample(
    label: "chameleon", values: [150, 400, 720, 500, 930])

  @Test func wholeReport() throws {
    var options = MinistatReport.Options()
    options.width = 60
    let report = try MinistatReport([Self.iguana, Self.chameleon], options: options)
    #expect(
      report.text == """
        x iguana
        + chameleon
        +------------------------------------------------------------+
        |x      *  x            *      +              + x           +|
        | |________M__|___A____________M__A___________________|      |
        +------------------------------------------------------------+
            N           Min           Max        Median           Avg        Stddev
        x   7            50           750           200           300     238.04761
        +   5           150           930           500           540     299.08193
        No difference proven at 95.0% confidence

        """)
  }

  @Test func difference() throws {
    var options = MinistatReport.Options()
    options.confidence = .percent80
    options.showsPlot = false
    let report = try MinistatReport([Self.iguana, Self.chameleon], options: options)
    let paragraph = report.text.split(separator: "\n").suffix(4).joined(separator: "\n")
    #expect(
      paragraph == """
        Difference at 80.0% confidence
        \t240 +/- 212.243
        \t80% +/- 70.7478%
        \t(Student's t, pooled s = 264.159)
        """)
  }

  @Test func equalValuesHaveNoPlot() throws {
    let report = try MinistatReport([.init(label: "equal", values: [5, 5, 5])])
    #expect(
      report.text == """
        x equal
        [no plot, span is zero width]
            N           Min           Max        Median           Avg        Stddev
        x   3             5             5             5             5             0

        """)
  }

  @Test(arguments: [1e-305, 1e-300, 1e299])
  func extremeScalesPlotLikeOrdinaryOnes(scale: Double) throws {
    func plot(_ scale: Double) throws -> [Substring] {
      let report = try MinistatReport([.init(label: "", values: [0, 1, 3, 3].map { $0 * scale })])
      return report.text.split(separator: "\n")[2...3].map { $0 }
    }
    #expect(try plot(scale) == plot(1))
  }

  @Test func extremesTogetherDoNotTrap() throws {
    var options = MinistatReport.Options()
    for width in [2, 3, 74, 10_000] {
      options.width = width
      let report = try MinistatReport(
        [
          .init(label: "a", values: [1e300, -1e300, 1e300]),
          .init(label: "b", values: [.leastNonzeroMagnitude, 0, -0.0]),
          .init(label: "c", values: [1, 1.0.nextUp, 1]),
        ], options: options)
      #expect(report.text.split(separator: "\n").count >= 10)
    }
  }

  @Test func refusals() throws {
    #expect(throws: StatisticsError.unusableSampleCount(0)) { try MinistatReport([]) }
    #expect(throws: StatisticsError.unusableSampleCount(8)) {
      try MinistatReport(Array(repeating: Self.iguana, count: 8))
    }
    #expect(throws: StatisticsError.unusableCount(1)) {
      try MinistatReport([Self.iguana, .init(label: "short", values: [1])])
    }
    #expect(throws: StatisticsError.unusableValue(index: 0)) {
      try MinistatReport([.init(label: "nan", values: [.nan, 1, 2])])
    }
    for width in [Int.min, 0, 1, .max] {
      var options = MinistatReport.Options()
      options.width = width
      #expect(throws: StatisticsError.widthOutOfRange(width)) {
        try MinistatReport([Self.iguana], options: options)
      }
    }
  }
}
