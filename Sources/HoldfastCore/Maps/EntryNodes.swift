/// The nodes of an `EntryTree`, numbered, in arrays: a node has up to `fanOut` slots, each with a
/// key, the gaps of what is below it, and a link to a child or, in a leaf, to an entry.
///
/// Numbers instead of references cost no reference counting on the way down, and all nodes end at
/// once. A node that is freed is used again.
struct EntryNodes: ~Copyable {
  /// The lengths of the longest gaps in bytes, for each alignment (`EntryTree`).
  struct Gaps: Equatable {
    var unaligned: UInt64 = 0
    var aligned: UInt64 = 0
    var wideAligned: UInt64 = 0

    static let zero = Gaps()

    /// The length for the alignment of a level.
    @inline(__always)
    subscript(level: Int) -> UInt64 {
      level == 0 ? unaligned : level == 1 ? aligned : wideAligned
    }

    /// The longer lengths of both.
    @inline(__always)
    func union(_ other: Gaps) -> Gaps {
      Gaps(
        unaligned: max(unaligned, other.unaligned), aligned: max(aligned, other.aligned),
        wideAligned: max(wideAligned, other.wideAligned))
    }
  }

  /// The slots of a node.
  static let fanOut = 32
  /// The number of no node.
  static let none = -1

  struct Node {
    let isLeaf: Bool
    /// The number of slots in use.
    var count = 0
    var parent = none
    /// The neighbors of a leaf.
    var previous = none
    var next = none
  }

  private var nodes: [Node] = []
  private var spare: [Int] = []
  private var keys: [UInt64] = []
  private var gaps: [Gaps] = []
  private var links: [Int] = []

  /// The size of the nodes.
  var metadata: ByteCount {
    let slot = MemoryLayout<UInt64>.stride + MemoryLayout<Gaps>.stride + MemoryLayout<Int>.stride
    return ByteCount(UInt64(nodes.count * (MemoryLayout<Node>.stride + slot * EntryNodes.fanOut)))
  }

  /// The number of nodes, freed ones included.
  var total: Int { nodes.count }

  subscript(node: Int) -> Node {
    @inline(__always) get { nodes[node] }
    @inline(__always) _modify { yield &nodes[node] }
  }

  @inline(__always)
  func key(_ node: Int, _ index: Int) -> UInt64 { keys[node * EntryNodes.fanOut + index] }

  @inline(__always)
  mutating func setKey(_ node: Int, _ index: Int, _ key: UInt64) {
    keys[node * EntryNodes.fanOut + index] = key
  }

  @inline(__always)
  func gaps(_ node: Int, _ index: Int) -> Gaps { gaps[node * EntryNodes.fanOut + index] }

  @inline(__always)
  mutating func setGaps(_ node: Int, _ index: Int, _ value: Gaps) {
    gaps[node * EntryNodes.fanOut + index] = value
  }

  @inline(__always)
  func link(_ node: Int, _ index: Int) -> Int { links[node * EntryNodes.fanOut + index] }

  /// The longest gaps of a node's slots.
  ///
  /// - Complexity: O(fan-out).
  func longestGaps(_ node: Int) -> Gaps {
    let first = node * EntryNodes.fanOut
    var longest = Gaps.zero
    for slot in first..<first + nodes[node].count { longest = longest.union(gaps[slot]) }
    return longest
  }

  /// The number of a node's slots, from `first` on, whose keys are at most `key`, and of the slots
  /// before `first`.
  ///
  /// - Complexity: O(log fan-out).
  @inline(__always)
  func slots(of node: Int, upTo key: UInt64, from first: Int = 0) -> Int {
    let base = node * EntryNodes.fanOut
    var low = first
    var high = nodes[node].count
    while low < high {
      let middle = (low + high) >> 1
      if keys[base + middle] <= key { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The slot of a node in its parent.
  ///
  /// - Complexity: O(fan-out).
  func slotInParent(_ node: Int) -> Int {
    let parent = nodes[node].parent
    let base = parent * EntryNodes.fanOut
    for index in 0..<nodes[parent].count where links[base + index] == node { return index }
    preconditionFailure("a node is missing in its parent")
  }

  // MARK: Changing

  /// An empty node without neighbors.
  mutating func make(isLeaf: Bool) -> Int {
    if let node = spare.popLast() {
      nodes[node] = Node(isLeaf: isLeaf)
      return node
    }
    nodes.append(Node(isLeaf: isLeaf))
    keys.append(contentsOf: repeatElement(0, count: EntryNodes.fanOut))
    gaps.append(contentsOf: repeatElement(.zero, count: EntryNodes.fanOut))
    links.append(contentsOf: repeatElement(EntryNodes.none, count: EntryNodes.fanOut))
    return nodes.count - 1
  }

  /// Gives a node back that nothing refers to any longer.
  mutating func free(_ node: Int) {
    spare.append(node)
  }

  /// Puts a leaf without neighbors behind another one.
  mutating func linkLeaf(_ leaf: Int, behind previous: Int) {
    let next = nodes[previous].next
    nodes[leaf].previous = previous
    nodes[leaf].next = next
    nodes[previous].next = leaf
    if next != EntryNodes.none { nodes[next].previous = leaf }
  }

  /// Takes a leaf out from between its neighbors.
  mutating func unlinkLeaf(_ leaf: Int) {
    let (previous, next) = (nodes[leaf].previous, nodes[leaf].next)
    if previous != EntryNodes.none { nodes[previous].next = next }
    if next != EntryNodes.none { nodes[next].previous = previous }
  }

  /// Inserts a slot without gaps into a node that is not full.
  ///
  /// - Complexity: O(fan-out).
  mutating func insert(_ key: UInt64, link: Int, into node: Int, at index: Int) {
    shift(node, from: index, by: 1)
    let slot = node * EntryNodes.fanOut + index
    keys[slot] = key
    gaps[slot] = .zero
    links[slot] = link
    if !nodes[node].isLeaf { nodes[link].parent = node }
  }

  /// Removes a slot.
  ///
  /// - Complexity: O(fan-out).
  mutating func remove(_ node: Int, at index: Int) {
    shift(node, from: index + 1, by: -1)
  }

  /// Moves the first slots of a node to the end of its left neighbor.
  ///
  /// - Complexity: O(fan-out).
  mutating func moveLeft(_ count: Int, from node: Int, to left: Int) {
    copy(count, from: node, 0, to: left, nodes[left].count)
    nodes[left].count += count
    shift(node, from: count, by: -count)
  }

  /// Moves the last slots of a node to the front of its right neighbor.
  ///
  /// - Complexity: O(fan-out).
  mutating func moveRight(_ count: Int, from node: Int, to right: Int) {
    shift(right, from: 0, by: count)
    copy(count, from: node, nodes[node].count - count, to: right, 0)
    nodes[node].count -= count
  }

  /// Moves the slots of a node from `index` on to the right, or to the left over those before.
  private mutating func shift(_ node: Int, from index: Int, by distance: Int) {
    let base = node * EntryNodes.fanOut
    let end = base + nodes[node].count
    func move(_ slot: Int) {
      keys[slot + distance] = keys[slot]
      gaps[slot + distance] = gaps[slot]
      links[slot + distance] = links[slot]
    }
    if distance > 0 {
      var slot = end
      while slot > base + index {
        slot -= 1
        move(slot)
      }
    } else {
      for slot in base + index..<end { move(slot) }
    }
    nodes[node].count += distance
  }

  private mutating func copy(
    _ count: Int, from node: Int, _ first: Int, to target: Int, _ index: Int
  ) {
    let source = node * EntryNodes.fanOut + first
    let destination = target * EntryNodes.fanOut + index
    for offset in 0..<count {
      keys[destination + offset] = keys[source + offset]
      gaps[destination + offset] = gaps[source + offset]
      links[destination + offset] = links[source + offset]
    }
    guard !nodes[target].isLeaf else { return }
    for slot in destination..<destination + count { nodes[links[slot]].parent = target }
  }
}
