/// A set of the numbers below a bound, whose smallest member is found in steps that grow with the
/// logarithm of the bound to the base 64: bitmaps, each of which tells the nonzero words of the
/// one below.
struct BlockSet: Sendable {
  /// The members first, then ever shorter summaries; the last one has a single word.
  private var levels: [[UInt64]]

  init(bound: Int) {
    levels = []
    var words = bound
    repeat {
      words = max(1, (words + 63) / 64)
      levels.append([UInt64](repeating: 0, count: words))
    } while words > 1
  }

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

  /// How many members there are. O(bound).
  var count: Int { levels[0].reduce(0) { $0 + $1.nonzeroBitCount } }

  func contains(_ member: Int) -> Bool {
    levels[0][member / 64] & (1 << UInt64(member % 64)) != 0
  }

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

  mutating func remove(_ member: Int) {
    var position = member
    for level in levels.indices {
      let word = position / 64
      levels[level][word] &= ~(1 << UInt64(position % 64))
      if levels[level][word] != 0 { return }
      position = word
    }
  }

  /// The bytes of the bitmaps.
  var metadataBytes: Int { levels.reduce(0) { $0 + $1.count * 8 } }
}
