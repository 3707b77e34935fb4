/// A set of numbers from 0 to 511: children of one node of a radix tree of fan-out 512.
struct Bits512: Sendable {
  private var words: InlineArray<8, UInt64>

  /// The set without members.
  static let empty = Bits512(words: .init(repeating: 0))
  /// The set of all 512 numbers.
  static let full = Bits512(words: .init(repeating: .max))

  private init(words: InlineArray<8, UInt64>) {
    self.words = words
  }

  /// Whether the set has no member.
  var isEmpty: Bool {
    var union: UInt64 = 0
    for word in 0..<8 { union |= words[word] }
    return union == 0
  }

  /// Whether the set has all 512 numbers.
  var isFull: Bool {
    var common = UInt64.max
    for word in 0..<8 { common &= words[word] }
    return common == .max
  }

  /// The number of members.
  var count: Int {
    var count = 0
    for word in 0..<8 { count += words[word].nonzeroBitCount }
    return count
  }

  /// The smallest member.
  var first: Int? {
    for word in 0..<8 where words[word] != 0 {
      return word * 64 + words[word].trailingZeroBitCount
    }
    return nil
  }

  /// Whether a number is a member.
  @inline(__always)
  func contains(_ member: Int) -> Bool {
    words[member >> 6] & (1 << UInt64(member & 63)) != 0
  }

  /// Adds a number.
  @inline(__always)
  mutating func insert(_ member: Int) {
    words[member >> 6] |= 1 << UInt64(member & 63)
  }

  /// Removes a number.
  @inline(__always)
  mutating func remove(_ member: Int) {
    words[member >> 6] &= ~(1 << UInt64(member & 63))
  }

  /// Adds all numbers of a range.
  mutating func insert(_ range: Range<Int>) {
    for word in Bits512.words(of: range) { words[word] |= Bits512.mask(of: range, in: word) }
  }

  /// Removes all numbers of a range.
  mutating func remove(_ range: Range<Int>) {
    for word in Bits512.words(of: range) { words[word] &= ~Bits512.mask(of: range, in: word) }
  }

  /// The members that are not in `other`.
  func subtracting(_ other: Bits512) -> Bits512 {
    var rest = self
    for word in 0..<8 { rest.words[word] &= ~other.words[word] }
    return rest
  }

  /// Whether all numbers of a range are members.
  func containsAll(_ range: Range<Int>) -> Bool {
    for word in Bits512.words(of: range) {
      let mask = Bits512.mask(of: range, in: word)
      if words[word] & mask != mask { return false }
    }
    return true
  }

  /// Whether a number of a range is a member.
  func containsAny(_ range: Range<Int>) -> Bool {
    for word in Bits512.words(of: range) where words[word] & Bits512.mask(of: range, in: word) != 0
    {
      return true
    }
    return false
  }

  /// The longest range from `start` to at most `end` whose numbers are all members, as `start` is,
  /// or all not members.
  func run(from start: Int, to end: Int) -> Range<Int> {
    let inside = contains(start)
    var word = start >> 6
    // Set bits are where membership differs from that of `start`.
    var differing = (inside ? ~words[word] : words[word]) & (UInt64.max << UInt64(start & 63))
    while differing == 0 {
      word += 1
      if word == 8 { return start..<end }
      differing = inside ? ~words[word] : words[word]
    }
    return start..<min(end, word * 64 + differing.trailingZeroBitCount)
  }

  /// The lowest naturally aligned block of 2^order members (order 0...9).
  func firstBlock(ofOrder order: Int) -> Int? {
    if order <= 6 {
      for word in 0..<8 {
        let starts = Bits512.blockStarts(words[word], order: order)
        if starts != 0 { return word * 64 + starts.trailingZeroBitCount }
      }
      return nil
    }
    let span = 1 << (order - 6)
    var word = 0
    while word < 8 {
      if containsAll(word * 64..<(word + span) * 64) { return word * 64 }
      word += span
    }
    return nil
  }

  /// The largest order of a naturally aligned block of members, or -1 in the empty set.
  ///
  /// Folds all words at once, order by order: the allocator spends most of its time here, and a
  /// search for each order would start from the beginning each time.
  var largestOrder: Int {
    if isEmpty { return -1 }
    var starts = words
    for order in 0..<6 {
      let mask = Bits512.alignedBits(order: order + 1)
      var union: UInt64 = 0
      for word in 0..<8 {
        starts[word] &= (starts[word] >> UInt64(1 << order)) & mask
        union |= starts[word]
      }
      if union == 0 { return order }
    }
    // A bit for each word that is full, folded in the same way.
    var full: UInt64 = 0
    for word in 0..<8 { full |= starts[word] << UInt64(word) }
    full &= (full >> 1) & 0b0101_0101
    if full == 0 { return 6 }
    full &= (full >> 2) & 0b0001_0001
    if full == 0 { return 7 }
    return full & (full >> 4) & 1 == 0 ? 8 : 9
  }

  /// The number of naturally aligned blocks of 2^order members (order 0...8) that are not halves of
  /// a larger one.
  func maximalBlocks(ofOrder order: Int) -> Int {
    blocks(ofOrder: order) - 2 * blocks(ofOrder: order + 1)
  }

  private func blocks(ofOrder order: Int) -> Int {
    var count = 0
    if order <= 6 {
      for word in 0..<8 {
        count += Bits512.blockStarts(words[word], order: order).nonzeroBitCount
      }
      return count
    }
    let span = 1 << (order - 6)
    for word in stride(from: 0, to: 8, by: span)
    where containsAll(word * 64..<(word + span) * 64) {
      count += 1
    }
    return count
  }

  /// The bits of `word` at which an aligned block of 2^order (order 0...6) set bits starts.
  private static func blockStarts(_ word: UInt64, order: Int) -> UInt64 {
    var starts = word
    var width: UInt64 = 1
    for _ in 0..<order {
      starts &= starts >> width
      width <<= 1
    }
    return starts & alignedBits(order: order)
  }

  /// A word with one bit set in each 2^order (order 0...6): all ones divided by 2^(2^order) - 1.
  @inline(__always)
  private static func alignedBits(order: Int) -> UInt64 {
    order == 6 ? 1 : UInt64.max / ((1 << UInt64(1 << order)) - 1)
  }

  @inline(__always)
  private static func words(of range: Range<Int>) -> Range<Int> {
    range.isEmpty ? 0..<0 : (range.lowerBound >> 6)..<((range.upperBound - 1) >> 6) + 1
  }

  @inline(__always)
  private static func mask(of range: Range<Int>, in word: Int) -> UInt64 {
    let low = max(range.lowerBound - word * 64, 0)
    let high = min(range.upperBound - word * 64, 64)
    return (UInt64.max << UInt64(low)) & (UInt64.max >> UInt64(64 - high))
  }
}
