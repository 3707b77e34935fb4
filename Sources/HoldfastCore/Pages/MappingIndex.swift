/// The map entries of an object, found by the pages that they map (Linux: the interval tree
/// `i_mmap`; FreeBSD keeps a list for each page, `pv_list`). The cost of a copy or a move depends
/// only on the entries that map its pages, however many map others.
///
/// It is a treap: a binary search tree by the first page and then the entry's identity, and a heap
/// by priorities that are drawn at random, so that its height is O(log entries) whatever the order
/// in which entries come.
///
/// Invariants:
/// - `numbers` has the node of each entry, and no other nodes are reachable from `root`.
/// - A node's key is greater than all keys of its left subtree and less than all of its right one.
/// - No child has a greater priority than its parent.
/// - `Node.end` is the greatest end of the pages of all entries of the subtree.
/// - A spare node has no record, so it keeps no pmap alive.
///
/// Not safe for threads: the object's lock protects it.
struct MappingIndex {
  private struct Node {
    var entry: ObjectIdentifier
    /// Nil in a spare node.
    var record: MappingRecord?
    var left: Int32 = none
    var right: Int32 = none
    let priority: UInt32
    var end: PageIndex
  }

  private static let none: Int32 = -1

  private var nodes: [Node] = []
  private var root = none
  private var spare: [Int32] = []
  private var numbers: [ObjectIdentifier: Int32] = [:]
  private var random = MappingIndex.seed

  /// Drawn by each process, since a caller that knew the priorities could map in an order that makes
  /// the tree a list, and its recursion as deep as there are entries.
  private static let seed = UInt32(truncatingIfNeeded: RandomID.number()) | 1

  /// The bytes that an entry takes.
  static let bytesForEntry =
    MemoryLayout<Node>.stride + MemoryLayout<(ObjectIdentifier, Int32)>.stride

  /// The number of entries.
  var count: Int { numbers.count }
  var isEmpty: Bool { numbers.isEmpty }

  /// The record of an entry.
  ///
  /// - Complexity: O(1).
  subscript(entry: ObjectIdentifier) -> MappingRecord? {
    numbers[entry].flatMap { nodes[Int($0)].record }
  }

  /// Sets the record of an entry, or removes it.
  ///
  /// - Returns: how many pages the entry mapped before.
  /// - Complexity: O(log entries) expected; O(1) where its pages stay the same.
  @discardableResult
  mutating func set(_ record: MappingRecord?, for entry: ObjectIdentifier) -> PageCount {
    var old = PageCount.zero
    if let number = numbers[entry] {
      old = nodes[Int(number)].record?.pages.count ?? .zero
      if let record, nodes[Int(number)].record?.pages == record.pages {
        nodes[Int(number)].record = record
        return old
      }
      root = removing(entry, start(number), from: root)
      numbers[entry] = nil
      nodes[Int(number)].record = nil
      spare.append(number)
    }
    guard let record else { return old }
    let number = makeNode(entry, record)
    numbers[entry] = number
    root = inserting(number, into: root)
    return old
  }

  // MARK: Searching

  /// All records, for operations on a whole object.
  var values: some Sequence<MappingRecord> { nodes.lazy.compactMap(\.record) }

  /// Calls `body` with each entry that maps some of a range's pages, in ascending order of the
  /// first page.
  ///
  /// - Complexity: O(log entries + entries found · log entries) expected.
  func forEach<Failure>(
    overlapping range: PageRange,
    _ body: (ObjectIdentifier, MappingRecord) throws(Failure) -> Void
  ) throws(Failure) {
    _ = try visit(root, range) { (entry, record) throws(Failure) in
      try body(entry, record)
      return true
    }
  }

  /// The first entry that maps some of a range's pages and satisfies a condition.
  func first(
    overlapping range: PageRange, where condition: (MappingRecord) -> Bool
  ) -> MappingRecord? {
    var found: MappingRecord?
    _ = visit(root, range) { _, record in
      if condition(record) { found = record }
      return found == nil
    }
    return found
  }

  /// Calls `body` until it returns false, and returns whether it always returned true.
  private func visit<Failure>(
    _ number: Int32, _ range: PageRange,
    _ body: (ObjectIdentifier, MappingRecord) throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    guard number != MappingIndex.none, nodes[Int(number)].end > range.start else { return true }
    guard try visit(nodes[Int(number)].left, range, body) else { return false }
    guard let record = nodes[Int(number)].record, record.pages.start < range.end else {
      return true
    }
    if record.pages.overlaps(range) {
      guard try body(nodes[Int(number)].entry, record) else { return false }
    }
    return try visit(nodes[Int(number)].right, range, body)
  }

  // MARK: Changing

  private func start(_ number: Int32) -> PageIndex {
    guard let record = nodes[Int(number)].record else {
      preconditionFailure("a spare node is in the tree")
    }
    return record.pages.start
  }

  private mutating func makeNode(_ entry: ObjectIdentifier, _ record: MappingRecord) -> Int32 {
    // Xorshift: any sequence without a pattern that entries could follow.
    random ^= random << 13
    random ^= random >> 17
    random ^= random << 5
    let node = Node(entry: entry, record: record, priority: random, end: record.pages.end)
    if let number = spare.popLast() {
      nodes[Int(number)] = node
      return number
    }
    nodes.append(node)
    return Int32(nodes.count - 1)
  }

  /// Whether a node's key is less than another one.
  private func isBefore(_ number: Int32, _ entry: ObjectIdentifier, _ first: PageIndex) -> Bool {
    let own = start(number)
    return own == first ? nodes[Int(number)].entry < entry : own < first
  }

  /// Computes the end of a node's subtree from those of its children.
  private mutating func settle(_ number: Int32) {
    let node = nodes[Int(number)]
    var end = node.record?.pages.end ?? .zero
    for child in [node.left, node.right] where child != MappingIndex.none {
      end = max(end, nodes[Int(child)].end)
    }
    nodes[Int(number)].end = end
  }

  /// Inserts a node into a subtree and returns the subtree's root.
  private mutating func inserting(_ number: Int32, into top: Int32) -> Int32 {
    guard top != MappingIndex.none else { return number }
    let (entry, first) = (nodes[Int(number)].entry, start(number))
    if nodes[Int(number)].priority > nodes[Int(top)].priority {
      (nodes[Int(number)].left, nodes[Int(number)].right) = split(top, entry, first)
      settle(number)
      return number
    }
    if isBefore(top, entry, first) {
      nodes[Int(top)].right = inserting(number, into: nodes[Int(top)].right)
    } else {
      nodes[Int(top)].left = inserting(number, into: nodes[Int(top)].left)
    }
    settle(top)
    return top
  }

  /// Splits a subtree into the nodes before and after a key.
  private mutating func split(
    _ top: Int32, _ entry: ObjectIdentifier, _ first: PageIndex
  ) -> (before: Int32, after: Int32) {
    guard top != MappingIndex.none else { return (MappingIndex.none, MappingIndex.none) }
    defer { settle(top) }
    if isBefore(top, entry, first) {
      let (before, after) = split(nodes[Int(top)].right, entry, first)
      nodes[Int(top)].right = before
      return (top, after)
    }
    let (before, after) = split(nodes[Int(top)].left, entry, first)
    nodes[Int(top)].left = after
    return (before, top)
  }

  /// Removes an entry's node from a subtree and returns the subtree's root.
  private mutating func removing(
    _ entry: ObjectIdentifier, _ first: PageIndex, from top: Int32
  ) -> Int32 {
    precondition(top != MappingIndex.none, "an entry has no node")
    let node = nodes[Int(top)]
    if node.entry == entry { return merge(node.left, node.right) }
    if isBefore(top, entry, first) {
      nodes[Int(top)].right = removing(entry, first, from: node.right)
    } else {
      nodes[Int(top)].left = removing(entry, first, from: node.left)
    }
    settle(top)
    return top
  }

  /// Merges two subtrees, where all keys of the first are less than those of the second.
  private mutating func merge(_ before: Int32, _ after: Int32) -> Int32 {
    if before == MappingIndex.none { return after }
    if after == MappingIndex.none { return before }
    if nodes[Int(before)].priority > nodes[Int(after)].priority {
      nodes[Int(before)].right = merge(nodes[Int(before)].right, after)
      settle(before)
      return before
    }
    nodes[Int(after)].left = merge(before, nodes[Int(after)].left)
    settle(after)
    return after
  }
}

// MARK: Checks

extension MappingIndex {
  /// The broken invariants, and the height, for tests.
  var inspection: (problems: [String], height: Int) {
    var problems: [String] = []
    var seen: [ObjectIdentifier] = []
    func check(_ number: Int32) -> (height: Int, end: PageIndex) {
      guard number != MappingIndex.none else { return (0, .zero) }
      let node = nodes[Int(number)]
      for child in [node.left, node.right] where child != MappingIndex.none {
        if nodes[Int(child)].priority > node.priority { problems.append("the heap is broken") }
      }
      let left = check(node.left)
      if numbers[node.entry] != number { problems.append("an entry has another node") }
      if let last = seen.last, let record = self[last],
        (record.pages.start, last) >= (start(number), node.entry)
      {
        problems.append("the order is broken")
      }
      seen.append(node.entry)
      let right = check(node.right)
      let end = max(start(number) + (node.record?.pages.count ?? .zero), left.end, right.end)
      if end != node.end { problems.append("a subtree ends at \(end), not \(node.end)") }
      return (1 + max(left.height, right.height), end)
    }
    let height = check(root).height
    if seen.count != count { problems.append("\(seen.count) of \(count) entries are in the tree") }
    if nodes.count != count + spare.count { problems.append("a node is lost") }
    for number in spare where nodes[Int(number)].record != nil {
      problems.append("a spare node has a record")
    }
    return (problems, height)
  }
}
