extension EntryTree {
  /// Inserts an entry, which overlaps no other one.
  ///
  /// - Returns: its position.
  /// - Complexity: O(log entries).
  @discardableResult
  mutating func insert(_ entry: MapEntry) -> Position {
    let start = entry.range.start.rawValue
    var leaf = leaf(for: start)
    var index = nodes.slots(of: leaf, upTo: start)
    let previousEnd = end(before: leaf, index)
    precondition(previousEnd <= entry.range.start, "an entry is inserted over another one")
    if let next = slot(leaf, index) {
      let nextStart = nodes.key(next.leaf, next.index)
      precondition(entry.range.end.rawValue <= nextStart, "an entry is inserted over another one")
      setGaps(at: next, gaps(from: entry.range.end.rawValue, to: nextStart))
    }
    if nodes[leaf].count == EntryNodes.fanOut {
      let right = split(leaf, for: index)
      // An entry between both belongs to the left one: the key of the right one is set.
      if index > nodes[leaf].count {
        index -= nodes[leaf].count
        leaf = right
      }
    }
    nodes.insert(start, link: store(entry), into: leaf, at: index)
    count += 1
    let position = Position(leaf: leaf, index: index)
    setGaps(at: position, gaps(from: previousEnd.rawValue, to: start))
    return position
  }

  /// Removes the entry at a position.
  ///
  /// - Returns: the position of the next entry, or nil after the last entry.
  /// - Complexity: O(log entries).
  @discardableResult
  mutating func remove(at position: Position) -> Position? {
    let (leaf, index) = (position.leaf, position.index)
    let next = self.position(after: position)
    let nextStart = next.map { nodes.key($0.leaf, $0.index) }
    if let next, let nextStart {
      setGaps(at: next, gaps(from: end(before: leaf, index).rawValue, to: nextStart))
    }
    let gaps = nodes.gaps(leaf, index)
    discard(nodes.link(leaf, index))
    nodes.remove(leaf, at: index)
    count -= 1
    gapsChanged(of: leaf, from: gaps, to: .zero)
    if leaf == root || nodes[leaf].count >= EntryTree.minimum {
      if count == 0 { shrink() }
      return next == nil ? nil : slot(leaf, index)
    }
    balance(leaf)
    guard let nextStart else { return nil }
    let there = self.leaf(for: nextStart)
    return Position(leaf: there, index: nodes.slots(of: there, upTo: nextStart) - 1)
  }

  /// Where the entry before a slot of a leaf ends, or the address space starts.
  private func end(before leaf: Int, _ index: Int) -> Address {
    position(before: Position(leaf: leaf, index: index)).map { self[$0].range.end } ?? bounds.start
  }

  private mutating func store(_ entry: MapEntry) -> Int {
    guard let link = spare.popLast() else {
      table.append(entry)
      return table.count - 1
    }
    table[link] = entry
    return link
  }

  private mutating func discard(_ link: Int) {
    table[link] = nil
    spare.append(link)
  }

  /// Gives the memory of an empty tree back, unless it is little.
  private mutating func shrink() {
    guard nodes.total > 16 else { return }
    nodes = EntryNodes()
    root = nodes.make(isLeaf: true)
    table = []
    spare = []
  }

  // MARK: Balance

  /// Splits a full node, into which a slot is about to be inserted at an index. The slots of a node
  /// that grows at one end mostly stay together, so that nodes filled in order are mostly full.
  ///
  /// - Returns: the new node at the right.
  private mutating func split(_ node: Int, for index: Int) -> Int {
    let fanOut = EntryNodes.fanOut
    let right = nodes.make(isLeaf: nodes[node].isLeaf)
    let kept = index == fanOut ? fanOut * 3 / 4 : index == 0 ? fanOut / 4 : fanOut / 2
    nodes.moveRight(fanOut - kept, from: node, to: right)
    if nodes[node].isLeaf { nodes.linkLeaf(right, behind: node) }
    if node == root {
      root = nodes.make(isLeaf: false)
      nodes.insert(nodes.key(node, 0), link: node, into: root, at: 0)
    }
    var slot = nodes.slotInParent(node)
    if nodes[nodes[node].parent].count == fanOut {
      _ = split(nodes[node].parent, for: slot + 1)
      slot = nodes.slotInParent(node)
    }
    let parent = nodes[node].parent
    nodes.insert(nodes.key(right, 0), link: right, into: parent, at: slot + 1)
    nodes.setGaps(parent, slot, nodes.longestGaps(node))
    nodes.setGaps(parent, slot + 1, nodes.longestGaps(right))
    return right
  }

  /// Restores the number of slots of a node that has lost one, and so on up.
  private mutating func balance(_ node: Int) {
    var node = node
    while node != root, nodes[node].count < EntryTree.minimum {
      let parent = nodes[node].parent
      let slot = nodes.slotInParent(node)
      join(parent, slot + 1 < nodes[parent].count ? slot : slot - 1)
      node = parent
    }
    if !nodes[root].isLeaf, nodes[root].count == 1 {
      let old = root
      root = nodes.link(old, 0)
      nodes[root].parent = EntryNodes.none
      nodes.free(old)
    }
  }

  /// Makes one node of the children at a slot and the next one, or shares their slots out evenly.
  private mutating func join(_ parent: Int, _ slot: Int) {
    let left = nodes.link(parent, slot)
    let right = nodes.link(parent, slot + 1)
    // The first key has no meaning until it becomes another's.
    if !nodes[right].isLeaf { nodes.setKey(right, 0, nodes.key(parent, slot + 1)) }
    let (leftCount, rightCount) = (nodes[left].count, nodes[right].count)
    if leftCount + rightCount <= EntryNodes.fanOut * 3 / 4 {
      nodes.moveLeft(rightCount, from: right, to: left)
      if nodes[left].isLeaf { nodes.unlinkLeaf(right) }
      nodes.remove(parent, at: slot + 1)
      nodes.free(right)
      nodes.setGaps(parent, slot, nodes.longestGaps(left))
      return
    }
    let kept = (leftCount + rightCount) / 2
    if leftCount < kept {
      nodes.moveLeft(kept - leftCount, from: right, to: left)
    } else {
      nodes.moveRight(leftCount - kept, from: left, to: right)
    }
    nodes.setKey(parent, slot + 1, nodes.key(right, 0))
    nodes.setGaps(parent, slot, nodes.longestGaps(left))
    nodes.setGaps(parent, slot + 1, nodes.longestGaps(right))
  }
}
