/// A set of page tables by their number in a window: a bit for each up to the largest.
struct TableSet {
  private var words: [UInt64] = []
  /// The number of tables.
  private(set) var count = 0

  /// Whether it has no table.
  var isEmpty: Bool { count == 0 }

  /// Adds tables.
  ///
  /// - Complexity: O(tables).
  mutating func insert(_ tables: Range<UInt64>) {
    let needed = Int((tables.upperBound + 63) / 64)
    if words.count < needed { words += repeatElement(0, count: needed - words.count) }
    for table in tables where words[Int(table / 64)] & bit(table) == 0 {
      words[Int(table / 64)] |= bit(table)
      count += 1
    }
  }

  /// Removes a table.
  ///
  /// - Returns: whether it was there.
  mutating func remove(_ table: UInt64) -> Bool {
    let word = Int(table / 64)
    guard word < words.count, words[word] & bit(table) != 0 else { return false }
    words[word] &= ~bit(table)
    count -= 1
    return true
  }

  private func bit(_ table: UInt64) -> UInt64 { 1 << (table % 64) }
}
