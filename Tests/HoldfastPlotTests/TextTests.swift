import HoldfastTestKit
import Testing

@testable import HoldfastPlot

struct TextTests {
  @Test func `the estimate is that of the wider of two fonts`() {
    // W of DejaVu Sans is 0.989 em wide, that of Arial 0.944; M 0.863 and 0.833.
    #expect(TextMeasure.width("W", size: 100) == 99 && TextMeasure.width("M", size: 100) == 87)
    // @ is wider in Arial, 1.015 em.
    #expect(TextMeasure.width("@", size: 100) == 102)
    #expect(TextMeasure.width("0123456789", size: 10) == 64)
    #expect(TextMeasure.width("0123456789", size: 10, bold: true) == 70)
    #expect(TextMeasure.width("", size: 10) == 0)
  }

  @Test func `lines are wrapped at spaces, then after hyphens, then anywhere`() {
    let wide = TextMeasure.width("populate-with-a", size: 10)
    #expect(TextMeasure.wrap("one two", width: 1000, size: 10) == ["one two"])
    #expect(
      TextMeasure.wrap("one populate-with-a-long", width: wide, size: 10)
        == ["one", "populate-with-", "a-long"])
    #expect(TextMeasure.wrap("iiii", width: 6, size: 10) == ["ii", "ii"])
    #expect(TextMeasure.wrap("", width: 10, size: 10) == [""])
    #expect(TextMeasure.wrap("ab", width: 0, size: 10) == ["a", "b"])
    let words = TextMeasure.wrap("one two three four", width: 30, size: 10, lines: 2)
    #expect(words.count == 2 && words[0] == "one" && words[1].hasSuffix("\u{2026}"))
  }

  @Test func `random text fits and is whole`() {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<500 {
      let text = randomText(&generator, length: 60)
      let width = 40 + Double(generator.next() % 200)
      let lines = TextMeasure.wrap(text, width: width, size: 12)
      #expect(lines.allSatisfy { TextMeasure.width($0, size: 12) <= width }, "\(text)")
      #expect(lines.joined().filter { $0 != " " } == text.filter { $0 != " " })
      let short = TextMeasure.wrap(text, width: width, size: 12, lines: 2)
      #expect(short.count <= 2 && short.allSatisfy { TextMeasure.width($0, size: 12) <= width })
    }
  }

  @Test func `coordinates are decimal numbers`() {
    let numbers = [0, -0.04, 1.25, -2, 1e14, .nan, .infinity].map(Markup.number)
    #expect(numbers == ["0.0", "0.0", "1.3", "-2.0", "100000000000000.0", "0", "0"])
    #expect(Quantity.fixed(1234.5678, places: 3) == "1234.568")
    #expect(Quantity.fixed(-0.4, places: 0) == "0" && Quantity.fixed(2.5, places: 0) == "3")
  }

  @Test func `everything is escaped`() {
    let text = "<a href=\"x\">&'\u{0}\u{7}\n<\u{301}"
    let escaped = "&lt;a href=&quot;x&quot;&gt;&amp;'\u{FFFD}\u{FFFD} &lt;\u{301}"
    // By scalars: an escape and an accent are one Character.
    #expect(Array(Markup.escaped(text).unicodeScalars) == Array(escaped.unicodeScalars))
    #expect(Markup("p", [("title", "\"")], text: "<").source == "<p title=\"&quot;\">&lt;</p>")
    #expect(Markup("p", [("id", nil)]).source == "<p></p>" && Markup("br", []).source == "<br/>")
  }
}

/// Words of letters, marks, digits and a few characters of other scripts.
func randomText(_ generator: inout SeededGenerator, length: Int) -> String {
  let characters = Array("aeinorstlmWMI0123456789()-/_.,:<>&\"' \u{e9}\u{4e2d}     ")
  return String(
    (0..<Int(generator.next() % UInt64(length)) + 1).map { _ in
      characters[Int(generator.next() % UInt64(characters.count))]
    })
}
