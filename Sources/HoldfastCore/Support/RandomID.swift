/// Parts of names that no other name has.
package enum RandomID {
  /// 64 random bits in 16 hexadecimal digits.
  package static func text() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
