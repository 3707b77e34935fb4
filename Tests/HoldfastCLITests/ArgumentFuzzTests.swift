import HoldfastCore
import HoldfastSimulation
import HoldfastTestKit
import Testing

@testable import HoldfastCLI

/// Random values of options.
struct ArgumentFuzzTests {
  @Test func `values are within their bounds, or refused`() throws {
    var fuzz = Fuzz(
      "options",
      like: ["0-3,8", "1023", "2G:30,8G:50.5,3.5G", "0.1%", "100", "90s", "3650d", "1.5d", "1G/s"])
    fuzz.texts { text in
      if let nodes = try? NodeList(text) {
        #expect(!nodes.nodes.isEmpty && nodes.nodes.allSatisfy { $0 < NodeID(1024) }, "\(text)")
      }
      if let mix = try? SizeMix(argument: text) {
        #expect(mix.mean > 0 && mix.parts.allSatisfy { $0.size >= .kibibytes(4) }, "\(text)")
      }
      if let share = try? Percentage(text) { #expect((0...1).contains(share.share), "\(text)") }
      if let span = try? TimeSpan(text) {
        #expect((1...315_360_000).contains(span.seconds), "\(text)")
      }
      if let number = try? wholeNumber(text, in: 0...100) {
        #expect((0...100).contains(number) && !text.hasPrefix("+"), "\(text)")
      }
      _ = try? scrubRate(text)
      #expect(Output.singleLine(text).unicodeScalars.allSatisfy { $0.isPrintable })
    }
  }

  @Test func `an error about any value is one line that shows the value`() {
    var fuzz = Fuzz(
      "usage", like: ["1\n2", "x\n- a\n- b", "\u{2028}See 'x' for", "10Q", "a. Did you mean b"])
    // The parser builds all commands anew for each.
    for _ in 0..<max(1, Fuzz.cases / 25) {
      let value = fuzz.text()
      for arguments in [["wire", "--memory=\(value)"], ["wire", "--backing=\(value)"], [value]] {
        guard let error = UsageError(parsing: arguments) else { continue }
        let line = Output.singleLine(error.line)
        #expect(line.contains("; try: holdfast "), "\(line)")
        #expect(line.unicodeScalars.allSatisfy { $0.isPrintable })
      }
    }
  }
}
