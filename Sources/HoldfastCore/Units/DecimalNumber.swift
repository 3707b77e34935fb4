/// A number as people type it, exactly: ASCII digits, perhaps with a point between two of them.
///
/// It is the one notation of numbers on the command line and in configurations (docs/program.md).
/// Nothing else is a number: no sign, space, exponent or separator of thousands, no `0x`, `inf` or
/// `nan`, and no digits of other scripts.
package struct DecimalNumber: Hashable, Sendable {
  /// The digits before the point, from 0 to 9: one at least, and no zero before others.
  package let whole: [UInt8]
  /// The digits behind the point, without zeros at the end.
  package let fraction: [UInt8]

  /// The most digits of a number that is not a size.
  package static let mostDigits = 20

  /// Reads a number; nil for another text, and for more digits than `limit`.
  package init?(_ text: some StringProtocol, mostDigits limit: Int = mostDigits) {
    self.init(bytes: text.utf8, mostDigits: limit)
  }

  /// Reads a number from the bytes of its text.
  package init?(bytes: some Collection<UInt8>, mostDigits limit: Int = mostDigits) {
    let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count <= 2, bytes.count - (parts.count - 1) <= limit,
      parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(DecimalNumber.isDigit) })
    else { return nil }
    self.init(
      whole: parts[0].map { $0 - UInt8(ascii: "0") },
      fraction: parts.count == 1 ? [] : parts[1].map { $0 - UInt8(ascii: "0") })
  }

  /// A whole number.
  package init(_ number: UInt) {
    self.init(whole: "\(number)".utf8.map { $0 - UInt8(ascii: "0") }, fraction: [])
  }

  private init(whole: [UInt8], fraction: [UInt8]) {
    self.whole = Array(whole.dropLast().drop { $0 == 0 } + whole.suffix(1))
    self.fraction = Array(fraction.reversed().drop { $0 == 0 }.reversed())
  }

  /// Whether a byte is one of the ten ASCII digits.
  package static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  /// The number as an integer, if it is whole and fits.
  package func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Integer? {
    guard fraction.isEmpty else { return nil }
    return Integer(text, radix: 10)
  }

  /// The double nearest to the number times a power of ten.
  ///
  /// - Parameter exponent: the power, such as -2 for a percentage's share.
  package func double(timesTenTo exponent: Int = 0) -> Double {
    // The text is in the notation of doubles, and one that is too large is infinity.
    Double("\(text)e\(exponent)") ?? .infinity
  }

  private var text: String {
    DecimalNumber.text(whole) + (fraction.isEmpty ? "" : "." + DecimalNumber.text(fraction))
  }

  private static func text(_ digits: [UInt8]) -> String {
    String(decoding: digits.map { $0 + UInt8(ascii: "0") }, as: UTF8.self)
  }
}

extension DecimalNumber: Comparable {
  /// The exact sum.
  package static func + (left: DecimalNumber, right: DecimalNumber) -> DecimalNumber {
    let places = max(left.fraction.count, right.fraction.count)
    let length = max(left.whole.count, right.whole.count) + places
    func digits(_ number: DecimalNumber) -> [UInt8] {
      let digits =
        number.whole + number.fraction
        + [UInt8](repeating: 0, count: places - number.fraction.count)
      return [UInt8](repeating: 0, count: length - digits.count) + digits
    }
    var sum = zip(digits(left), digits(right)).map { $0 + $1 }
    for index in sum.indices.dropFirst().reversed() where sum[index] > 9 {
      sum[index] -= 10
      sum[index - 1] += 1
    }
    if let first = sum.first, first > 9 {
      sum[0] = first - 10
      sum.insert(1, at: 0)
    }
    return DecimalNumber(whole: Array(sum.dropLast(places)), fraction: sum.suffix(places))
  }

  /// Whether one number is smaller than another.
  package static func < (left: DecimalNumber, right: DecimalNumber) -> Bool {
    if left.whole.count != right.whole.count { return left.whole.count < right.whole.count }
    // A fraction has no zeros at its end, so one that begins another is smaller.
    return (left.whole + left.fraction).lexicographicallyPrecedes(right.whole + right.fraction)
  }
}

extension FixedWidthInteger {
  /// Reads ASCII digits and nothing else; the other initializers take a sign too.
  package init?(digits text: some StringProtocol) {
    guard text.utf8.allSatisfy(DecimalNumber.isDigit) else { return nil }
    self.init(text, radix: 10)
  }
}
