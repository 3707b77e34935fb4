/// The state of a block whose frames are not all alike: its 512 children, which are base frames (at
/// level 1) or blocks of level 1 (at level 2).
///
/// Invariants:
/// - `zeroed` is a subset of `free`.
/// - A child has a node exactly if its frames are not all alike (allocated; free and zeroed; free
///   and dirty). If it has one, its bit in `zeroed` is clear, and its bit in `free` is set if all
///   of its frames are free, some zeroed and some dirty.
/// - The bucket of a kind and an order has the children whose node was last registered with that
///   order.
struct BuddyNode {
  /// The children of which every frame is free.
  var free = Bits512.empty
  /// The children of which every frame is free and zero.
  var zeroed = Bits512.empty
  /// The children's nodes, empty at level 1.
  private(set) var children: [UInt32] = []
  /// How many children have a node.
  private(set) var childCount = 0
  /// At level 2: the children with a node, by kind and by the largest order that they can serve;
  /// the last bucket has all of them.
  private var buckets: [Bits512] = []
  /// The largest orders with which this node is registered in its parent's buckets.
  var registered = BuddyOrders.none

  /// The index that stands for no node.
  static let noChild = UInt32.max
  private static let splitBucket = FrameKind.allCases.count * Geometry.levelShift

  /// The children that have a node.
  var split: Bits512 { childCount == 0 ? .empty : buckets[BuddyNode.splitBucket] }

  /// A node of frames that are all allocated.
  init(level: Int) {
    guard level > 1 else { return }
    children = [UInt32](repeating: BuddyNode.noChild, count: 512)
    buckets = [Bits512](repeating: .empty, count: BuddyNode.splitBucket + 1)
  }

  /// The index of a child's node, if it has one.
  func child(_ index: Int) -> Int? {
    if children.isEmpty || children[index] == BuddyNode.noChild { return nil }
    return Int(children[index])
  }

  /// Sets or removes (`noChild`) a child's node.
  mutating func setChild(_ index: Int, to node: UInt32) {
    childCount += (node == BuddyNode.noChild ? 0 : 1) - (child(index) == nil ? 0 : 1)
    children[index] = node
    if node == BuddyNode.noChild {
      buckets[BuddyNode.splitBucket].remove(index)
    } else {
      buckets[BuddyNode.splitBucket].insert(index)
    }
  }

  /// The children of which every frame is of the kind.
  func bits(_ kind: FrameKind) -> Bits512 {
    switch kind {
    case .any: free
    case .zeroed: zeroed
    case .dirty: dirty
    }
  }

  /// The child with a node whose largest block is the tightest fit for an order.
  func partialChild(_ kind: FrameKind, order: Int) -> Int? {
    if buckets.isEmpty { return nil }
    var order = order
    while order < Geometry.levelShift {
      if let child = buckets[kind.rawValue * Geometry.levelShift + order].first { return child }
      order += 1
    }
    return nil
  }

  /// The largest orders that this node can serve at `level`, or -1.
  func largestOrders(level: Int) -> BuddyOrders {
    BuddyOrders(
      any: largestOrder(.any, level: level), zeroed: largestOrder(.zeroed, level: level),
      dirty: largestOrder(.dirty, level: level))
  }

  private func largestOrder(_ kind: FrameKind, level: Int) -> Int {
    let whole = bits(kind).largestOrder
    if whole >= 0 { return whole + (level - 1) * Geometry.levelShift }
    if buckets.isEmpty { return -1 }
    for order in stride(from: Geometry.levelShift - 1, through: 0, by: -1)
    where !buckets[kind.rawValue * Geometry.levelShift + order].isEmpty {
      return order
    }
    return -1
  }

  /// Moves a child between buckets when the orders that its node can serve have changed.
  mutating func register(_ child: Int, from old: BuddyOrders, to new: BuddyOrders) {
    for kind in FrameKind.allCases where old[kind] != new[kind] {
      let base = kind.rawValue * Geometry.levelShift
      // A child that is free as a whole is in `free`, not in a bucket.
      if (0..<Geometry.levelShift).contains(old[kind]) { buckets[base + old[kind]].remove(child) }
      if (0..<Geometry.levelShift).contains(new[kind]) { buckets[base + new[kind]].insert(child) }
    }
  }

  /// The size of the node in bytes.
  var metadataBytes: Int {
    MemoryLayout<BuddyNode>.stride + children.count * 4 + buckets.count * 64
  }
}

extension BuddyNode {
  /// The children without a node of which every frame is free and none is known to be zero.
  var dirty: Bits512 {
    let dirty = free.subtracting(zeroed)
    return childCount == 0 ? dirty : dirty.subtracting(split)
  }
}

/// The largest order that can be served for each kind, or -1.
struct BuddyOrders: Equatable {
  var any: Int
  var zeroed: Int
  var dirty: Int

  /// No order for any kind.
  static let none = BuddyOrders(any: -1, zeroed: -1, dirty: -1)

  subscript(kind: FrameKind) -> Int {
    switch kind {
    case .any: any
    case .zeroed: zeroed
    case .dirty: dirty
    }
  }
}
