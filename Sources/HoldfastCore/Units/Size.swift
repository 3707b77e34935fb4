/// An amount of memory as people type it: `4096`, `512M`, `2MiB`, `1.5G`, `10 GiB`. Units are powers
/// of two, as QEMU and hugeadm have them; a number alone is in bytes, which QEMU's `-m` is not.
package struct Size: Hashable, Sendable {
  package let bytes: ByteCount
  /// Written as a number alone, which is in bytes.
  package let isBare: Bool

  /// Why a text is not a size.
  package struct Problem: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) {
      self.description = description
    }
  }

  /// Reads a size of at least one byte.
  package init(_ text: String) throws(Problem) {
    let parts = Parts(text)
    if text.first == "-" { throw Problem(description: "a size cannot be negative") }
    guard let parts, let shift = Size.shifts[parts.unit] else {
      throw Problem(
        description: "a size is a number and, unless it is in bytes, one of the units K, M, G and "
          + "T, such as 512M or 10G")
    }
    var value: UInt64 = 0
    for digit in parts.whole {
      guard let next = value.times(10, plus: digit) else { throw Size.tooLarge }
      value = next
    }
    // The fraction is doubled digit by digit, so that nothing is lost on the way.
    var fraction = parts.fraction
    for _ in 0..<shift {
      var carry: UInt64 = 0
      for index in fraction.indices.reversed() {
        let doubled = fraction[index] * 2 + carry
        fraction[index] = doubled % 10
        carry = doubled / 10
      }
      guard let next = value.times(2, plus: carry) else { throw Size.tooLarge }
      value = next
    }
    guard fraction.allSatisfy({ $0 == 0 }) else {
      throw Problem(description: "that is not a whole number of bytes")
    }
    guard value > 0 else { throw Problem(description: "a size cannot be zero") }
    bytes = ByteCount(value)
    isBare = parts.unit.isEmpty
  }

  /// What is said of a number alone that is too small to be meant in bytes: QEMU's `-m 4096` is in
  /// MiB.
  package var note: String? {
    guard isBare, bytes < .mebibytes(1) else { return nil }
    return "\(bytes.rawValue) is in bytes; for MiB write \(bytes.rawValue)M"
  }

  private static let tooLarge = Problem(description: "that is more than any host has")

  /// Units in lower case and the power of two that they stand for.
  private static let shifts: [String: Int] = {
    var shifts = ["": 0, "b": 0]
    for (letter, shift) in [("k", 10), ("m", 20), ("g", 30), ("t", 40)] {
      for ending in ["", "b", "ib"] { shifts[letter + ending] = shift }
    }
    return shifts
  }()

  /// A text taken apart: digits, perhaps a point and more digits, perhaps a space, the unit.
  private struct Parts {
    var whole: [UInt64] = []
    var fraction: [UInt64] = []
    var unit = ""

    /// Nil where there are no digits before the unit, or none after the point.
    init?(_ text: String) {
      var rest = text.utf8[...]
      whole = Parts.digits(&rest)
      if rest.first == UInt8(ascii: ".") {
        rest = rest.dropFirst()
        fraction = Parts.digits(&rest)
        if fraction.isEmpty { return nil }
      }
      if whole.isEmpty { return nil }
      if rest.first == UInt8(ascii: " ") { rest = rest.dropFirst() }
      unit = String(decoding: rest, as: UTF8.self).lowercased()
    }

    private static func digits(_ rest: inout Substring.UTF8View) -> [UInt64] {
      let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      rest = rest.dropFirst(digits.count)
      return digits.map { UInt64($0 - UInt8(ascii: "0")) }
    }
  }
}

extension UInt64 {
  fileprivate func times(_ factor: UInt64, plus summand: UInt64) -> UInt64? {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    let (sum, carry) = product.addingReportingOverflow(summand)
    return overflow || carry ? nil : sum
  }
}

extension Duration {
  /// Reads a time as people type it, in seconds or with a unit: `30`, `0.5`, `10m`, `2h`, `1d`.
  package init(typed text: String) throws(Size.Problem) {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
    let unit = text.last.flatMap { units[$0] }
    let digits = unit == nil ? text[...] : text.dropLast()
    guard let number = Double(digits), digits.allSatisfy({ $0.isWholeNumber || $0 == "." }) else {
      throw Size.Problem(
        description: "a time is a number of seconds, or has a unit, such as 30 or 10m")
    }
    guard number * (unit ?? 1) <= 1e9 else {
      throw Size.Problem(description: "a time is at most 10000d")
    }
    self = .milliseconds(Int64(number * (unit ?? 1) * 1000))
  }
}
