import HoldfastCore
import HoldfastTestKit
import Testing

/// Random texts for the parsers of what people type.
struct FuzzTests {
  @Test func `sizes are at least one byte, and their text reads the same`() {
    var fuzz = Fuzz("sizes", like: ["4096", "512M", "2MiB", "1.5G", "10 GiB", "0.000001t"])
    fuzz.texts { text in
      guard let size = try? Size(text) else { return }
      #expect(size.bytes > .zero, "\(text)")
      #expect((try? Size(size.bytes.shortDescription))?.bytes == size.bytes, "\(text)")
      #expect(size.note?.isEmpty != true)
    }
  }

  @Test func `times are not longer than allowed`() throws {
    var fuzz = Fuzz("times", like: ["30", "0.5", "10m", "2h", "1.5d", "10000d", "99999999999999"])
    fuzz.texts { text in
      guard let time = try? Duration(typed: text) else { return }
      #expect((.zero...Duration.seconds(10_000 * 86_400)).contains(time), "\(text)")
      #expect(!time.shortText.isEmpty)
    }
    #expect(try Duration(typed: "10000d") == .seconds(864_000_000))
    for text in ["10000.001d", "240001h", "864000001", "11574d"] {
      #expect(throws: Size.Problem.self) { try Duration(typed: text) }
    }
  }

  @Test func `what is printed has no controls`() {
    var fuzz = Fuzz("printable", like: ["a\u{1B}[2J", "\u{202E}gpj.exe", "a\u{2028}b", "\u{9B}1m"])
    fuzz.texts { text in
      let shown = text.printable
      #expect(shown.unicodeScalars.count == text.unicodeScalars.count)
      #expect(shown.unicodeScalars.allSatisfy { $0.isPrintable })
      #expect(text.printableLines.unicodeScalars.allSatisfy { $0.isPrintable || $0 == "\n" })
    }
    #expect("é ✓ 日本".printable == "é ✓ 日本")
    for control in ["\u{0}", "\u{9B}", "\u{61C}", "\u{200E}", "\u{200F}", "\u{2028}", "\u{2029}"]
      + ["\u{202A}", "\u{202B}", "\u{202C}", "\u{202D}", "\u{202E}", "\u{2066}", "\u{2067}"]
      + ["\u{2068}", "\u{2069}", "\u{FEFF}", "\u{7F}", "\u{85}"]
    {
      #expect(control.printable == "?")
    }
  }
}
