/// A set of small numbers as the kernel passes it: words of 64 bits.
struct KernelMask: Equatable, Sendable {
  let words: [UInt64]

  init(words: [UInt64]) {
    self.words = words
  }

  /// The set of the given numbers below 8,192, the largest that the kernel is built for; at least
  /// one word.
  init(_ numbers: [UInt32]) {
    let numbers = numbers.filter { $0 < 8192 }
    var words = [UInt64](repeating: 0, count: Int((numbers.max() ?? 0) / 64) + 1)
    for number in numbers { words[Int(number / 64)] |= 1 << UInt64(number % 64) }
    self.words = words
  }

  /// The numbers in ascending order.
  var numbers: [UInt32] {
    words.enumerated().flatMap { index, word in
      (0..<64).filter { word & 1 << UInt64($0) != 0 }.map { UInt32(index) * 64 + $0 }
    }
  }
}
