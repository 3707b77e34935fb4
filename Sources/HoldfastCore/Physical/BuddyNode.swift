/// What is known of the frames inside one block that is neither wholly allocated nor wholly free
/// and alike: its 512 children, which are base frames (level 1) or blocks of level 1 (level 2).
///
/// Invariants:
/// - `zeroed` is a subset of `free`.
/// - A child has a node of its own exactly if its frames are not all alike (allocated, free and
///   zeroed, free and dirty). If it has one, its bit in `zeroed` is clear, and its bit in `free`
///   tells that all of its frames are free, some zeroed and some dirty.
/// - `bucket(kind, order)` has the children whose node was last registered with that order.
struct BuddyNode {
  /// The children of which every frame is free.
  var free = Bits512.empty
  /// The children of which every frame is free and zero.
  var zeroed = Bits512.empty
  /// The children's nodes, empty at level 1.
  private(set) var children: [UInt32] = []
  /// How many children have a node.
  private(set) var childCount = 0
  /// Level 2: the children with a node by kind and by the largest order that they can give, and all of
  /// them last.
  private var buckets: [Bits512] = []
  /// The largest orders with which this node stands in its parent's buckets.
  var registered = BuddyOrders.none

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

  func child(_ index: Int) -> Int? {
    if children.isEmpty || children[index] == BuddyNode.noChild { return nil }
    return Int(children[index])
  }

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

  /// A child whose node can give a block of the order or larger, the tightest fit first.
  func partialChild(_ kind: FrameKind, order: Int) -> Int? {
    if buckets.isEmpty { return nil }
    var order = order
    while order < Geometry.levelShift {
      if let child = buckets[kind.rawValue * Geometry.levelShift + order].first { return child }
      order += 1
    }
    return nil
  }

  /// The largest orders that this node can give at `level`, -1 for none.
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

  /// Moves a child between buckets when what its node can give has changed.
  mutating func register(_ child: Int, from old: BuddyOrders, to new: BuddyOrders) {
    for kind in FrameKind.allCases where old[kind] != new[kind] {
      let base = kind.rawValue * Geometry.levelShift
      // A child that can give itself whole stands in `free`, not in a bucket.
      if (0..<Geometry.levelShift).contains(old[kind]) { buckets[base + old[kind]].remove(child) }
      if (0..<Geometry.levelShift).contains(new[kind]) { buckets[base + new[kind]].insert(child) }
    }
  }

  /// The bytes that a node takes.
  var metadataBytes: Int {
    MemoryLayout<BuddyNode>.stride + children.count * 4 + buckets.count * 64
  }
}

/// What a search for frames accepts.
enum FrameKind: Int, CaseIterable {
  case any = 0
  case zeroed = 1
  case dirty = 2
}

/// An order for each kind, -1 for none.
struct BuddyOrders: Equatable {
  var any: Int
  var zeroed: Int
  var dirty: Int

  static let none = BuddyOrders(any: -1, zeroed: -1, dirty: -1)

  subscript(kind: FrameKind) -> Int {
    switch kind {
    case .any: any
    case .zeroed: zeroed
    case .dirty: dirty
    }
  }
}
