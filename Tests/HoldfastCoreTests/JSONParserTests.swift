import HoldfastCore
import HoldfastTestKit
import Testing

/// Texts of other programs.
struct JSONParserTests {
  private func parsed(_ text: String) -> String? { JSONValue(parsing: text.utf8)?.text }

  @Test(arguments: [
    ("null", "null"), (" true ", "true"), ("\t\r\nfalse\n", "false"), ("0", "0"), ("-0", "-0"),
    ("12.50", "12.50"), ("-1e+5", "-1e+5"), ("1E-3", "1E-3"), ("1e999", "1e999"),
    ("123456789012345678901234567890", "123456789012345678901234567890"), ("\"\"", "\"\""),
    ("[]", "[]"), ("[ 1 , [ ] ]", "[1,[]]"), ("{}", "{}"),
    ("{ \"a\" : { \"b\" : [ null ] } , \"a\" : 2 }", "{\"a\":{\"b\":[null]},\"a\":2}"),
  ])
  func values(_ text: String, _ written: String) { #expect(parsed(text) == written) }

  @Test(arguments: [
    (#""\b\f\n\r\t\"\\\/""#, "\u{8}\u{C}\n\r\t\"\\/"), (#""\u0041\u00e9\uFFFF""#, "Aé\u{FFFF}"),
    (#""\u0000""#, "\0"), (#""\ud83d\ude00""#, "😀"), (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
    (#""é😀""#, "é😀"), (#""e\u0301""#, "e\u{301}"), ("\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"),
  ])
  func strings(_ text: String, _ value: String) {
    let parsed = JSONValue(parsing: text.utf8)?.string
    #expect(parsed.map { Array($0.unicodeScalars) } == Array(value.unicodeScalars))
  }

  @Test(arguments: [
    "", " ", "nul", "nulll", "True", "+1", "01", "-", "1.", ".5", "1e", "1e+", "--1", "0x10", "NaN",
    "Infinity", "1 2", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "]", "{", "{\"a\"", "{\"a\":",
    "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "\"", "\"a", "'a'",
    "\"\n\"", "\"\u{1}\"", #""\"#, #""\x""#, #""\u""#, #""\u12""#, #""\u12g4""#, #""\u+123""#,
    #""\ud800""#, #""\udc00""#, #""\ud800\u0041""#, #""\ud800\ud800""#, #""\ud800x""#,
    "null\0", "\u{FEFF}null", "// a\n1", "[1]]",
  ])
  func whatIsNotJSON(_ text: String) { #expect(parsed(text) == nil) }

  @Test func bytesThatAreNotUTF8() {
    for bytes: [UInt8] in [
      [0xFF], [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22],
      [
        0x22, 0xED, 0xA0,
        0x80, 0x22,
      ],
    ] {
      #expect(JSONValue(parsing: bytes) == nil)
    }
  }

  /// Deep values take stack, so there is a limit.
  @Test func depth() {
    func nested(_ count: Int) -> String {
      String(repeating: "[", count: count) + String(repeating: "]", count: count)
    }
    #expect(parsed(nested(64)) == nested(64))
    for count in [65, 1000, 1_000_000] { #expect(parsed(nested(count)) == nil) }
    #expect(parsed(String(repeating: "{\"a\":", count: 100_000)) == nil)
  }

  @Test func members() {
    let value = JSONValue(parsing: #"{"a":1,"a":2,"b":"x","c":1.5,"d":12345678901234567890}"#.utf8)
    #expect(value?["a"]?.integer == 1 && value?["b"]?.string == "x" && value?["e"] == nil)
    #expect(value?["b"]?.integer == nil && value?["a"]?.string == nil)
    #expect(value?["c"]?.integer == nil && value?["d"]?.integer == nil)
    #expect(value?["b"]?["x"] == nil && JSONValue(parsing: "[1]".utf8)?["a"] == nil)
  }

  @Test func `random texts are refused, or written as they were read`() {
    var fuzz = Fuzz(
      "JSON",
      like: [
        #"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": []}}"#,
        #"{"return": {"status": "running", "running": true, "x": null}}"#,
        #"{"error": {"class": "GenericError", "desc": "a \"b\" \u00e9 \ud83d\ude00"}}"#,
        "[1, -2.5e3, [[[]]], {}, false]",
      ])
    for _ in 0..<Fuzz.cases {
      guard let value = JSONValue(parsing: fuzz.bytes()) else { continue }
      #expect(JSONValue(parsing: value.text.utf8)?.text == value.text)
    }
  }
}
