/// A prefix code of DEFLATE (RFC 1951, section 3.2.2): a table that the next bits are an index of.
struct HuffmanCode {
  /// For each value of the next `width` bits, the symbol times 16, plus the length of its code; 0
  /// where no code begins so.
  private let table: [UInt16]
  private let width: Int

  private static let longest = 15

  /// The code in which each symbol has a code word of the given length, or none where that is 0.
  ///
  /// - Throws: `Inflater.Failure.damaged` where no such code exists.
  init(_ lengths: [UInt8]) throws {
    width = max(1, Int(lengths.max() ?? 0))
    var counts = [Int](repeating: 0, count: Self.longest + 1)
    for length in lengths {
      guard length <= Self.longest else { throw Inflater.Failure.damaged }
      counts[Int(length)] += 1
    }
    counts[0] = 0
    var next = [Int](repeating: 0, count: Self.longest + 2)
    for length in 1...Self.longest {
      next[length + 1] = (next[length] + counts[length]) << 1
      // More words than the length has.
      guard next[length] + counts[length] <= 1 << length else { throw Inflater.Failure.damaged }
    }
    var table = [UInt16](repeating: 0, count: 1 << width)
    for (symbol, length) in lengths.enumerated() where length > 0 {
      let size = Int(length)
      // The first bit of a word is its highest, and comes first: the lowest of the index.
      var word = next[size]
      next[size] += 1
      var index = 0
      for _ in 0..<size {
        index = index << 1 | word & 1
        word >>= 1
      }
      while index < table.count {
        table[index] = UInt16(symbol) << 4 | UInt16(length)
        index += 1 << size
      }
    }
    self.table = table
  }

  private init(table: [UInt16], width: Int) {
    self.table = table
    self.width = width
  }

  /// Reads a symbol.
  @inline(__always)
  func next(_ input: inout BitReader) throws -> Int {
    let entry = table[try input.peek(width)]
    guard entry != 0 else { throw Inflater.Failure.damaged }
    try input.skip(Int(entry & 15))
    return Int(entry >> 4)
  }

  /// The code of literals and lengths of blocks with fixed codes.
  static let fixedLengths = fixed(
    [UInt8](repeating: 8, count: 144) + [UInt8](repeating: 9, count: 112)
      + [UInt8](repeating: 7, count: 24) + [UInt8](repeating: 8, count: 8))
  /// The code of distances of blocks with fixed codes.
  static let fixedDistances = fixed([UInt8](repeating: 5, count: 30))

  private static func fixed(_ lengths: [UInt8]) -> HuffmanCode {
    // These lengths are a code.
    (try? HuffmanCode(lengths)) ?? HuffmanCode(table: [0, 0], width: 1)
  }
}
