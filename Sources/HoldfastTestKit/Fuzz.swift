/// Random texts for parsers: made of examples that they accept, and of what they must refuse.
///
/// HOLDFAST_FUZZ_CASES sets how many each test tries, HOLDFAST_FUZZ_SEED the seed. A parser that
/// fails ends the whole process, so each test prints its seed before it begins.
package struct Fuzz {
  /// The number of texts for each parser.
  package static let cases = Int(environmentNumber("HOLDFAST_FUZZ_CASES") ?? 500)

  private static let firstSeed = environmentNumber("HOLDFAST_FUZZ_SEED") ?? .random(in: 1...1 << 32)

  /// The random choices.
  package var random: SeededGenerator
  private let examples: [[UInt8]]

  /// Random texts like some examples.
  ///
  /// - Parameter name: the test's name, which the seed is printed with.
  package init(_ name: String, like examples: [String]) {
    self.init(name, like: examples.map { Array($0.utf8) })
  }

  /// Random bytes like some examples.
  package init(_ name: String, like examples: [[UInt8]]) {
    print("fuzzing \(name): HOLDFAST_FUZZ_CASES=\(Self.cases) HOLDFAST_FUZZ_SEED=\(Self.firstSeed)")
    random = SeededGenerator(seed: name.utf8.reduce(Self.firstSeed) { $0 &* 31 &+ UInt64($1) })
    self.examples = examples
  }

  /// Calls `body` with each of the texts.
  package mutating func texts(_ body: (String) throws -> Void) rethrows {
    for _ in 0..<Self.cases { try body(text()) }
  }

  /// A random text.
  package mutating func text() -> String { String(decoding: bytes(), as: UTF8.self) }

  /// Random bytes.
  package mutating func bytes() -> [UInt8] {
    if Int.random(in: 0..<16, using: &random) == 0 {
      return (0..<Int.random(in: 0..<64, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
    }
    var bytes = example()
    for _ in 0..<Int.random(in: 0..<4, using: &random) { change(&bytes) }
    return bytes
  }

  private mutating func example() -> [UInt8] { examples.randomElement(using: &random) ?? [] }

  /// What stands in for a part of an example.
  private static let odd: [[UInt8]] =
    [
      "0", "-1", "+1", "007", "1e309", "nan", "0x10", "18446744073709551615",
      "18446744073709551616",
      "9223372036854775807", "9223372036854775808", "4294967295", "4294967296", "65536", "1048576",
      "99999999999999999999999999", "", " ", "\t", "\n", "\r\n", "\r", "\0", "\u{85}", "\u{2028}",
      "\u{202E}", "\u{FEFF}", "\u{1B}[2J", "é", "٣", "½", "\u{1F468}\u{200D}\u{1F469}", "\"", "'",
      "\\", "/", "..", "../", "-", "--", ",", ";", ":", "=", "#", "@", "%", "kB", "K", "T", "x",
      "max",
    ].map { Array($0.utf8) } + [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0x80]]

  private mutating func change(_ bytes: inout [UInt8]) {
    let low = Int.random(in: 0...bytes.count, using: &random)
    let high = Int.random(in: low...min(bytes.count, low + 24), using: &random)
    switch Int.random(in: 0..<9, using: &random) {
    case 0: bytes.removeSubrange(low..<high)
    case 1: bytes.insert(contentsOf: bytes[low..<high], at: low)
    case 2: bytes.insert(contentsOf: Self.odd.randomElement(using: &random) ?? [], at: low)
    case 3:
      bytes.replaceSubrange(low..<high, with: Self.odd.randomElement(using: &random) ?? [])
    case 4: replaceNumber(in: &bytes, from: low)
    case 5: bytes = Array(bytes[..<low])
    case 6: bytes.insert(contentsOf: example(), at: low)
    case 7:
      let count = Int.random(in: 1..<200, using: &random)
      let unit = Array(bytes[low..<high])
      bytes.insert(contentsOf: (0..<count).flatMap { _ in unit }, at: low)
    default:
      if low < bytes.count { bytes[low] ^= 1 << UInt8.random(in: 0..<8, using: &random) }
    }
  }

  /// Replaces the first digits behind a place.
  private mutating func replaceNumber(in bytes: inout [UInt8], from start: Int) {
    let isDigit: (UInt8) -> Bool = { (48...57).contains($0) }
    guard let first = bytes[start...].firstIndex(where: isDigit) else { return }
    let end = bytes[first...].firstIndex { !isDigit($0) } ?? bytes.count
    bytes.replaceSubrange(first..<end, with: Self.odd.randomElement(using: &random) ?? [])
  }
}
