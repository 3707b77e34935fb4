/// The entries of an address space in ascending order, and the gaps between them: a B+ tree
/// (FreeBSD: the splay tree of `vm_map` with `max_free`; Linux: the maple tree of `mm_struct`).
///
/// The start of an entry does not change while the entry is in the tree. Its end may: the caller
/// cuts an entry before it inserts the part that was cut off, and extends one before it removes the
/// entry that it has taken over, so that the gaps stay as they are.
///
/// Invariants (`problems` checks them):
/// - All leaves are equally deep. The slots of the leaves, from the first leaf to the last, are the
///   entries in ascending order; a leaf's neighbors are linked.
/// - Every node but the root has `minimum` to `fanOut` slots. The root is a leaf, which may be
///   empty, or has two slots at least.
/// - A leaf's key is the start of its entry. The key of another node's slot, except the first one,
///   is at most the start of the first entry below it, and higher than the start of the last entry
///   before that. The first slot's key has no meaning.
/// - A leaf slot has the gap before its entry, which begins where the entry before it ends, or
///   where the address space starts. The slot of another node has the longest gaps below it. The
///   gap behind the last entry is not stored.
/// - Of gaps, the tree has the length that is left from the first multiple of an alignment on, for
///   three alignments: the base page's, and 512 and 512^2 times that.
///
/// Not safe for threads: the address space's lock protects it.
struct EntryTree: ~Copyable {
  /// Where an entry is in the tree. Inserting or removing any entry makes it invalid.
  struct Position: Equatable {
    var leaf: Int
    var index: Int
  }

  /// The fewest slots of a node that is not the root.
  static let minimum = EntryNodes.fanOut / 4

  let bounds: AddressRange
  /// The base two logarithm of the base page in bytes.
  let pageShift: Int

  var nodes = EntryNodes()
  var root: Int
  /// The number of entries.
  var count = 0
  /// The entries to which the leaves' slots have links, and the places without an entry.
  var table: [MapEntry?] = []
  var spare: [Int] = []

  /// Creates a tree without entries.
  ///
  /// - Parameters:
  ///   - bounds: what the entries lie in.
  ///   - geometry: the entries start and end on a base page.
  init(bounds: AddressRange, geometry: Geometry) {
    self.bounds = bounds
    pageShift = geometry.pageShift
    root = nodes.make(isLeaf: true)
  }

  /// The size of the tree, without the entries.
  var metadata: ByteCount {
    nodes.metadata + ByteCount(UInt64((table.count + spare.count) * 8))
  }

  /// The entry at a position.
  subscript(position: Position) -> MapEntry {
    @inline(__always) get { entry(nodes.link(position.leaf, position.index)) }
  }

  @inline(__always)
  private func entry(_ link: Int) -> MapEntry {
    guard let entry = table[link] else { preconditionFailure("an entry is missing in its tree") }
    return entry
  }

  // MARK: Look-up

  /// The leaf that has the last entry which starts at or before an address, or else the first leaf
  /// in which an entry at that address would have its place.
  @inline(__always)
  func leaf(for address: UInt64) -> Int {
    var node = root
    while !nodes[node].isLeaf {
      node = nodes.link(node, nodes.slots(of: node, upTo: address, from: 1) - 1)
    }
    return node
  }

  /// The entry that maps an address.
  ///
  /// - Complexity: O(log entries).
  func entry(at address: Address) -> MapEntry? {
    guard let position = lastPosition(startingUpTo: address) else { return nil }
    let entry = self[position]
    return entry.range.end > address ? entry : nil
  }

  /// The position of the first entry that ends after an address, or nil if every entry ends before.
  ///
  /// - Complexity: O(log entries).
  func position(after address: Address) -> Position? {
    guard let before = lastPosition(startingUpTo: address) else { return first }
    return self[before].range.end > address ? before : position(after: before)
  }

  /// The position of the last entry that starts at or before an address.
  @inline(__always)
  private func lastPosition(startingUpTo address: Address) -> Position? {
    let leaf = leaf(for: address.rawValue)
    let index = nodes.slots(of: leaf, upTo: address.rawValue)
    if index > 0 { return Position(leaf: leaf, index: index - 1) }
    // The entries that began the leaf are gone.
    let previous = nodes[leaf].previous
    if previous == EntryNodes.none { return nil }
    return Position(leaf: previous, index: nodes[previous].count - 1)
  }

  /// The position of the first entry.
  ///
  /// - Complexity: O(log entries).
  var first: Position? {
    var node = root
    while !nodes[node].isLeaf { node = nodes.link(node, 0) }
    return count == 0 ? nil : Position(leaf: node, index: 0)
  }

  /// The position of the last entry.
  ///
  /// - Complexity: O(log entries).
  var last: Position? {
    var node = root
    while !nodes[node].isLeaf { node = nodes.link(node, nodes[node].count - 1) }
    return count == 0 ? nil : Position(leaf: node, index: nodes[node].count - 1)
  }

  /// The position of the next entry.
  ///
  /// - Complexity: O(1).
  @inline(__always)
  func position(after position: Position) -> Position? {
    slot(position.leaf, position.index + 1)
  }

  /// The position of the entry before a position, or of the last entry before nil, the end.
  ///
  /// - Complexity: O(1); O(log entries) for the end.
  func position(before position: Position?) -> Position? {
    guard let position else { return last }
    if position.index > 0 { return Position(leaf: position.leaf, index: position.index - 1) }
    let previous = nodes[position.leaf].previous
    if previous == EntryNodes.none { return nil }
    return Position(leaf: previous, index: nodes[previous].count - 1)
  }

  /// The position of a slot of a leaf, which may be the first one of the next leaf instead.
  @inline(__always)
  func slot(_ leaf: Int, _ index: Int) -> Position? {
    if index < nodes[leaf].count { return Position(leaf: leaf, index: index) }
    let next = nodes[leaf].next
    return next == EntryNodes.none ? nil : Position(leaf: next, index: 0)
  }

  /// Calls `body` with all entries in ascending order. `body` must not insert or remove entries.
  ///
  /// - Complexity: O(entries).
  func visitAll<Failure: Error>(
    _ body: (MapEntry) throws(Failure) -> Void
  ) throws(Failure) {
    var position = first
    while let here = position {
      try body(self[here])
      position = self.position(after: here)
    }
  }

  /// Calls `body` with the entries that overlap a range, in ascending order. `body` must not insert
  /// or remove entries.
  ///
  /// - Complexity: O(log entries + entries of the range).
  func visit<Failure: Error>(
    in range: AddressRange, _ body: (MapEntry) throws(Failure) -> Void
  ) throws(Failure) {
    var position = position(after: range.start)
    while let here = position {
      let entry = self[here]
      if entry.range.start >= range.end { return }
      try body(entry)
      position = self.position(after: here)
    }
  }
}
