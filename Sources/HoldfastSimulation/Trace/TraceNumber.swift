/// Numbers as CSV libraries and spreadsheets write them: `300`, `300.0`, `3e+02`, `1,75` where a
/// comma does not divide fields.
struct TraceNumber {
  /// The digits before the point, and those behind it.
  private let whole: ArraySlice<UInt8>
  private let fraction: ArraySlice<UInt8>
  private let exponent: Int

  /// Reads a number without a sign; nil for another text.
  init?(_ text: ArraySlice<UInt8>, hasDecimalComma: Bool) {
    let isDigit: (UInt8) -> Bool = { (48...57).contains($0) }
    var rest = text
    whole = rest.prefix(while: isDigit)
    rest = rest[whole.endIndex...]
    let isPoint = rest.first == UInt8(ascii: ".")
    if isPoint || hasDecimalComma && rest.first == UInt8(ascii: ",") {
      rest = rest.dropFirst()
      fraction = rest.prefix(while: isDigit)
      rest = rest[fraction.endIndex...]
      if fraction.isEmpty { return nil }
    } else {
      fraction = []
    }
    var exponent = 0
    if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
      let sign = rest.dropFirst().first
      let isSigned = sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-")
      let digits = rest.dropFirst(isSigned ? 2 : 1)
      guard (1...2).contains(digits.count), digits.allSatisfy(isDigit) else { return nil }
      exponent = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
      if sign == UInt8(ascii: "-") { exponent.negate() }
      rest = []
    }
    guard !whole.isEmpty, rest.isEmpty, whole.count + fraction.count <= 40 else { return nil }
    self.exponent = exponent
  }

  /// The number times a unit, if that is whole and less than 2^63.
  func times(_ unit: UInt64) -> UInt64? {
    guard let product = product(unit), product.isExact else { return nil }
    return product.quotient
  }

  /// The number times a unit, rounded down, if that is less than 2^63.
  func roundedDown(times unit: UInt64) -> UInt64? { product(unit)?.quotient }

  /// The most digits that fit into 64 bits, whatever they are.
  private static let mostDigits = 19

  /// The number times a unit, rounded down, and whether nothing was left.
  private func product(_ unit: UInt64) -> (quotient: UInt64, isExact: Bool)? {
    var isExact = true
    var sum: UInt64 = 0
    var count = 0
    // How many of the digits that were added are behind the point, less the exponent.
    var places = -exponent
    func add(_ digit: UInt8) {
      sum = sum * 10 + UInt64(digit - 48)
      if sum > 0 { count += 1 }
    }
    for digit in whole {
      if count == Self.mostDigits - 1 { return nil }
      add(digit)
    }
    for digit in fraction {
      // What does not fit is smaller than anything that counts.
      guard count < Self.mostDigits - 1, places < Self.mostDigits - 1 else {
        if digit != 48 { isExact = false }
        continue
      }
      add(digit)
      places += 1
    }
    while places < 0 {
      if sum == 0 { break }
      let (product, overflow) = sum.multipliedReportingOverflow(by: 10)
      if overflow { return nil }
      sum = product
      places += 1
    }
    var scale: UInt64 = 1
    while places > 0 {
      if scale >= 1_000_000_000_000_000_000 {
        // A digit less of the number, rather than one more of the scale.
        if sum % 10 != 0 { isExact = false }
        sum /= 10
      } else {
        scale *= 10
      }
      places -= 1
    }
    let (high, low) = sum.multipliedFullWidth(by: unit)
    if high >= scale { return nil }
    let (quotient, remainder) = scale.dividingFullWidth((high, low))
    return quotient > UInt64(Int64.max) ? nil : (quotient, isExact && remainder == 0)
  }
}
