extension EntryTree {
  /// Sentences that say which invariants do not hold; empty where all hold.
  ///
  /// - Complexity: O(entries).
  var problems: [String] {
    var check = Check()
    let depth = check.visit(self, root, keys: 0..<UInt64.max)
    if check.seen != count { check.problems.append("\(check.seen) entries, not \(count)") }
    if check.lastLeaf != EntryNodes.none, nodes[check.lastLeaf].next != EntryNodes.none {
      check.problems.append("the last leaf has a next one")
    }
    if table.count - spare.count != count { check.problems.append("the table has other entries") }
    if check.end > bounds.end { check.problems.append("an entry ends behind \(bounds)") }
    if nodes[root].parent != EntryNodes.none || depth > 16 {
      check.problems.append("the root is no root, or \(depth) levels above the leaves")
    }
    return check.problems
  }

  private struct Check {
    var problems: [String] = []
    var seen = 0
    var lastLeaf = EntryNodes.none
    /// Where the last entry ends.
    var end = Address.zero

    /// Checks a node and those below it.
    ///
    /// - Parameter keys: the starts that entries below may have.
    /// - Returns: the levels below.
    mutating func visit(_ tree: borrowing EntryTree, _ number: Int, keys: Range<UInt64>) -> Int {
      let node = tree.nodes[number]
      let isRoot = number == tree.root
      let fewest = !isRoot ? EntryTree.minimum : node.isLeaf ? 0 : 2
      if node.count < fewest || node.count > EntryNodes.fanOut {
        problems.append("node \(number) has \(node.count) slots")
      }
      if node.isLeaf {
        if node.previous != lastLeaf {
          problems.append("leaf \(number) comes after \(lastLeaf), not \(node.previous)")
        }
        if lastLeaf != EntryNodes.none, tree.nodes[lastLeaf].next != number {
          problems.append("leaf \(number) is not next after \(lastLeaf)")
        }
        lastLeaf = number
        for index in 0..<node.count { visitSlot(tree, number, index, keys) }
        return 0
      }
      var depths: Set<Int> = []
      for index in 0..<node.count {
        let child = tree.nodes.link(number, index)
        let low = index == 0 ? keys.lowerBound : tree.nodes.key(number, index)
        let high = index + 1 < node.count ? tree.nodes.key(number, index + 1) : keys.upperBound
        if low >= high || low < keys.lowerBound || high > keys.upperBound {
          problems.append("node \(number) has the keys \(low) and \(high) within \(keys)")
          continue
        }
        if tree.nodes[child].parent != number { problems.append("\(child) has another parent") }
        depths.insert(visit(tree, child, keys: low..<high))
        if tree.nodes.gaps(number, index) != tree.nodes.longestGaps(child) {
          problems.append("node \(child) has other gaps than its parent says")
        }
      }
      if depths.count != 1 { problems.append("leaves below \(number) are not equally deep") }
      return (depths.max() ?? 0) + 1
    }

    private mutating func visitSlot(
      _ tree: borrowing EntryTree, _ leaf: Int, _ index: Int, _ keys: Range<UInt64>
    ) {
      let range = tree[Position(leaf: leaf, index: index)].range
      let start = range.start.rawValue
      if seen == 0 { end = tree.bounds.start }
      seen += 1
      if tree.nodes.key(leaf, index) != start || !keys.contains(start) {
        problems.append("\(range) has the key \(tree.nodes.key(leaf, index)) in \(keys)")
      }
      if range.start < end || range.isEmpty { problems.append("\(range) starts before \(end)") }
      // Counted as the tree does not: one alignment at a time.
      for level in 0...2 {
        let alignment = UInt64(1) << UInt64(tree.pageShift + level * Geometry.levelShift)
        let aligned = end.roundedUp(to: ByteCount(alignment))
        let length = aligned.map { $0 < range.start ? range.start - $0 : .zero } ?? .zero
        if tree.nodes.gaps(leaf, index)[level] != length.rawValue {
          problems.append("the gap before \(range) is not \(length) at alignment \(alignment)")
        }
      }
      end = range.end
    }
  }
}
