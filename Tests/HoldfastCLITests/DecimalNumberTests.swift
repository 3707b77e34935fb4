import Foundation
import HoldfastCore
import HoldfastReservoir
import HoldfastSimulation
import HoldfastTestKit
import Testing

@testable import HoldfastCLI

/// The one notation of numbers, compared with Foundation's exact decimals.
struct DecimalNumberTests {
  /// What is a number elsewhere, and not here.
  static let notNumbers = [
    "0x1p2", "0x10", "nan", "inf", "-inf", "infinity", "1e400", "1e3", "+5", "-5", " 5", "5  ",
    "\t5", "5%%", "%", "1,5", "1_000", "1'000", ".5", "5.", "1.2.3", "", ".", "\u{665}",
    "\u{FF15}", "\u{1D7D3}", "5\u{301}", "\u{2212}5", "⅕", "five",
  ]

  @Test(arguments: notNumbers)
  func otherNotations(_ text: String) {
    #expect(DecimalNumber(text) == nil)
    #expect(DecimalNumber(text, mostDigits: .max) == nil)
    #expect(Int(digits: text) == nil)
  }

  @Test func digits() throws {
    let number = try #require(DecimalNumber("007.250"))
    #expect(number.whole == [7] && number.fraction == [2, 5] && number.double() == 7.25)
    #expect(number.double(timesTenTo: -2) == 0.0725 && number.integer(Int.self) == nil)
    #expect(DecimalNumber("000")?.integer(UInt8.self) == 0 && DecimalNumber("0.0") == .init(0))
    #expect(DecimalNumber("256")?.integer(UInt8.self) == nil && UInt8(digits: "256") == nil)
    #expect(UInt8(digits: "0255") == 255)
    #expect(DecimalNumber(String(repeating: "9", count: 20)) != nil)
    #expect(DecimalNumber(String(repeating: "9", count: 21)) == nil)
    let long = DecimalNumber(String(repeating: "9", count: 400), mostDigits: .max)
    #expect(long?.double() == .infinity && long?.integer(Int.self) == nil)
  }

  @Test func `sums and orders are exact`() throws {
    var random = SeededGenerator(seed: 20_261_129)
    func digits(_ most: Int) -> String {
      String(
        (0..<Int.random(in: 1...most, using: &random)).map { _ in
          Character("\(Int.random(in: 0...9, using: &random))")
        })
    }
    for _ in 0..<2000 {
      let texts = (0..<2).map { _ in
        digits(8) + (Bool.random(using: &random) ? "." + digits(9) : "")
      }
      let numbers = try texts.map { try #require(DecimalNumber($0)) }
      let exact = try texts.map { try #require(Decimal(string: $0)) }
      #expect((numbers[0] < numbers[1]) == (exact[0] < exact[1]), "\(texts)")
      #expect((numbers[0] == numbers[1]) == (exact[0] == exact[1]), "\(texts)")
      let sum = numbers[0] + numbers[1]
      #expect(sum == DecimalNumber("\(exact[0] + exact[1])"), "\(texts)")
      #expect(sum == numbers[1] + numbers[0] && sum >= numbers[0])
    }
  }

  /// Every pair of percentages with two decimals that is 100, and its neighbors.
  @Test func `percentages add up to 100 exactly`() throws {
    func percent(_ hundredths: Int) throws -> DecimalNumber {
      let fraction = "\(100 + hundredths % 100)".dropFirst()
      return try Percentage("\(hundredths / 100).\(fraction)").percent
    }
    for hundredths in 0...10_000 {
      let one = try percent(hundredths)
      #expect(try one + percent(10_000 - hundredths) == Percentage.all)
      if hundredths > 0 { #expect(try one + percent(10_001 - hundredths) > Percentage.all) }
    }
  }

  @Test(arguments: notNumbers)
  func everyValue(_ text: String) {
    #expect(throws: Size.Problem.self) { try Percentage(text) }
    #expect(throws: Size.Problem.self) { try TimeSpan(text + "s") }
    #expect(throws: Size.Problem.self) { try Duration(typed: text) }
    #expect(throws: Size.Problem.self) { try Size(text + "G") }
    #expect(throws: Size.Problem.self) { try SizeMix(argument: "1G:1,1G:" + text) }
    #expect(throws: Size.Problem.self) { try FillPlan.Part(typed: text + "x1M") }
    #expect(throws: Size.Problem.self) { try wholeNumber(text, in: -10...10) }
    #expect(throws: Size.Problem.self) { try scrubRate(text) }
    // A comma divides nodes.
    if text != "1,5" { #expect(throws: Size.Problem.self) { try NodeList(text) } }
  }

  /// Every option with a number, each with a text of its own, as the parser builds all commands for
  /// each.
  @Test func everyOption() throws {
    let options: [(before: [String], value: String, unit: String)] = [
      (["wire"], "--memory=", "M"), (["wire"], "--threads=", ""),
      (["wire"], "--host-numa-node=", ""), (["bench", "wire"], "--runs=", ""),
      (["bench", "guest", "--hostile"], "--faults=", ""), (["bench", "scrub"], "--rate=", "M"),
      (["bench", "scrub"], "--scrub-threads=", ""), (["bench", "budgets"], "--memory=", "G"),
      (["probe"], "--cpus=", ""), (["reservoir", "fill", "1x1M"], "--host-numa-node=", ""),
      (["reservoir", "fill"], "", "x1M"), (["reservoir", "lease"], "--size=", "M"),
      (["reservoir", "lease", "--size", "1M"], "--wait=", "s"),
      (["reservoir", "gc"], "--older-than=", "d"), (["simulate"], "--memory=", "G"),
      (["simulate"], "--guests=", ""), (["simulate"], "--duration=", "d"),
      (["simulate"], "--lifetime=", "h"), (["simulate"], "--sizes=1G:1,1G:", ""),
      (["simulate"], "--forks=", ""), (["simulate"], "--paged=", "%"),
      (["simulate"], "--dirty=", ""), (["simulate"], "--scrub-rate=", "M"),
      (["simulate"], "--seed=", ""),
    ]
    let texts = ["0x1p2", "nan", "inf", "1e400", "+5", " 5", "5%%", "\u{665}", "\u{FF15}", "5."]
    for (number, option) in options.enumerated() {
      let good = UsageError(parsing: option.before + [option.value + "1" + option.unit])
      #expect(good == nil, "\(option): \(good as Any)")
      let text = texts[number % texts.count]
      let error = UsageError(parsing: option.before + [option.value + text + option.unit])
      #expect(error?.line.contains("; try: holdfast ") == true, "\(option), \(text)")
    }
    let sums = [
      ("99.29", "0.71", true), ("99.29", "0.7100000000000001", false), ("33.3", "66.7", true),
    ]
    for (forks, paged, isValid) in sums {
      let error = UsageError(parsing: ["simulate", "--forks", forks, "--paged", paged])
      #expect((error == nil) == isValid, "\(forks) and \(paged)")
    }
  }
}
