/// An amount of memory as people type it: `4096`, `512M`, `2MiB`, `1.5G`, `10 GiB`. Units are
/// powers of two, as in QEMU and hugeadm; a number alone is in bytes, unlike that of QEMU's `-m`.
package struct Size: Hashable, Sendable {
  /// The amount.
  package let bytes: ByteCount
  /// Whether the text was a number without a unit.
  package let isBare: Bool

  /// Why a text that somebody typed is not what it should be: a size, or another value.
  package struct Problem: Error, CustomStringConvertible {
    /// What is wrong with the text and what to type instead.
    package let description: String

    /// An error with this text.
    package init(description: String) {
      self.description = description
    }
  }

  /// Reads a size of at least one byte and at most 2^64 - 1.
  ///
  /// - Throws: `Problem` where the text is not a size.
  package init(_ text: String) throws(Problem) {
    let parts = Parts(text)
    if text.first == "-", text.dropFirst().first?.isNumber == true {
      throw Problem(description: "'\(text)' is negative: use a size of at least one byte")
    }
    guard let parts, let shift = Size.shifts[parts.unit] else {
      throw Problem(
        description:
          "'\(text)' is not a size: use a number with K, M, G or T, such as 512M")
    }
    let tooLarge = Problem(description: "'\(text)' is more than any host has")
    var value: UInt64 = 0
    for digit in parts.number.whole {
      guard let next = value.times(10, plus: UInt64(digit)) else { throw tooLarge }
      value = next
    }
    // The fraction is doubled digit by digit, so that nothing is lost on the way.
    var fraction = parts.number.fraction
    for _ in 0..<shift {
      var carry: UInt8 = 0
      for index in fraction.indices.reversed() {
        let doubled = fraction[index] * 2 + carry
        fraction[index] = doubled % 10
        carry = doubled / 10
      }
      guard let next = value.times(2, plus: UInt64(carry)) else { throw tooLarge }
      value = next
    }
    guard fraction.allSatisfy({ $0 == 0 }) else {
      throw Problem(description: "'\(text)' is not a whole number of bytes")
    }
    guard value > 0 else {
      throw Problem(description: "'\(text)' is zero: use a size of at least one byte")
    }
    bytes = ByteCount(value)
    isBare = parts.unit.isEmpty
  }

  /// A remark on a number without a unit that is too small to be meant in bytes, or nil: QEMU's
  /// `-m 4096` is in MiB.
  package var note: String? {
    guard isBare, bytes < .mebibytes(1) else { return nil }
    return "\(bytes.rawValue) is in bytes; for MiB write \(bytes.rawValue)M"
  }

  /// Units in lower case and the power of two that they stand for.
  private static let shifts: [String: Int] = {
    var shifts = ["": 0, "b": 0]
    for (letter, shift) in [("k", 10), ("m", 20), ("g", 30), ("t", 40)] {
      for ending in ["", "b", "ib"] { shifts[letter + ending] = shift }
    }
    return shifts
  }()

  /// A text taken apart: a number, perhaps a space, the unit.
  private struct Parts {
    let number: DecimalNumber
    let unit: String

    /// Nil where no number comes before the unit.
    init?(_ text: String) {
      let digits = text.utf8.prefix { DecimalNumber.isDigit($0) || $0 == UInt8(ascii: ".") }
      guard let number = DecimalNumber(bytes: digits, mostDigits: .max) else { return nil }
      self.number = number
      var rest = text.utf8[digits.endIndex...]
      if rest.first == UInt8(ascii: " ") { rest = rest.dropFirst() }
      // Letters of ASCII alone: `lowercased` makes k of the Kelvin sign.
      unit = String(decoding: rest.map { (65...90).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
    }
  }
}

extension UInt64 {
  /// The product plus `summand`, or nil where it exceeds 2^64 - 1.
  fileprivate func times(_ factor: UInt64, plus summand: UInt64) -> UInt64? {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    let (sum, carry) = product.addingReportingOverflow(summand)
    return overflow || carry ? nil : sum
  }
}
