import HoldfastCore
import HoldfastSimulation
import Testing

@testable import HoldfastCLI

struct SimulateArgumentTests {
  @Test(
    arguments: [("1s", 1), ("90m", 5400), ("1.5h", 5400), ("2d", 172_800), ("3650d", 315_360_000)])
  func times(_ text: String, _ seconds: Double) throws {
    #expect(try TimeSpan(text).seconds == seconds)
  }

  @Test(arguments: ["", "s", "5", "5 s", "-1s", "1e3s", ".5s", "5.s", "0s", "3651d", "1w", "infs"])
  func invalidTimes(_ text: String) {
    #expect(throws: Size.Problem.self) { try TimeSpan(text) }
  }

  @Test(arguments: [("0", 0), ("10", 0.1), ("0.5%", 0.005), ("100%", 1)])
  func percentages(_ text: String, _ share: Double) throws {
    #expect(try Percentage(text).share == share)
  }

  @Test(arguments: ["", "%", "101", "-1", "nan", "1%%", "1 %"])
  func invalidPercentages(_ text: String) {
    #expect(throws: Size.Problem.self) { try Percentage(text) }
  }

  @Test func sizes() throws {
    let mix = try SizeMix(argument: "2G:30,8GiB:50.5,3.5G")
    #expect(
      mix.parts == [
        .init(.gibibytes(2), weight: 30), .init(.gibibytes(8), weight: 50.5),
        .init(.mebibytes(3584), weight: 1),
      ])
  }

  @Test(arguments: ["", "2G,", "2G:0", "2G:-1", "2G:x", "2G:", "5000", "2G;4G", ":3"])
  func invalidSizes(_ text: String) {
    #expect(throws: Size.Problem.self) { try SizeMix(argument: text) }
  }

  @Test func scrubRates() throws {
    #expect(try scrubRate("0") == .zero && scrubRate("512M/s") == .mebibytes(512))
    #expect(throws: Size.Problem.self) { try scrubRate("fast") }
  }
}
