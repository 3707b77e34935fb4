/// A set of numbers below a bound: a hierarchy of bitmaps, in which each bit says whether a word of
/// the bitmap below is nonzero. The smallest member is found in O(log₆₄ bound).
struct BlockSet: Sendable {
  /// The members first, then ever shorter summaries; the last one has a single word.
  private var levels: [[UInt64]]

  /// An empty set of numbers below `bound`.
  init(bound: Int) {
    levels = []
    var words = bound
    repeat {
      words = max(1, (words + 63) / 64)
      levels.append([UInt64](repeating: 0, count: words))
    } while words > 1
  }

  /// Whether the set has no member.
  var isEmpty: Bool { levels[levels.count - 1][0] == 0 }

  /// The smallest member.
  var first: Int? {
    if isEmpty { return nil }
    var position = 0
    for level in stride(from: levels.count - 1, through: 0, by: -1) {
      position = position * 64 + levels[level][position].trailingZeroBitCount
    }
    return position
  }

  /// The number of members.
  ///
  /// - Complexity: O(bound).
  var count: Int { levels[0].reduce(0) { $0 + $1.nonzeroBitCount } }

  /// Whether a number is a member.
  func contains(_ member: Int) -> Bool {
    levels[0][member / 64] & (1 << UInt64(member % 64)) != 0
  }

  /// Adds a number.
  mutating func insert(_ member: Int) {
    var position = member
    for level in levels.indices {
      let word = position / 64
      let before = levels[level][word]
      levels[level][word] = before | (1 << UInt64(position % 64))
      if before != 0 { return }
      position = word
    }
  }

  /// Removes a number.
  mutating func remove(_ member: Int) {
    var position = member
    for level in levels.indices {
      let word = position / 64
      levels[level][word] &= ~(1 << UInt64(position % 64))
      if levels[level][word] != 0 { return }
      position = word
    }
  }

  /// The size of the bitmaps in bytes.
  var metadataBytes: Int { levels.reduce(0) { $0 + $1.count * 8 } }
}
