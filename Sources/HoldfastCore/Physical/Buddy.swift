/// The buddy system behind `FrameAllocator`, without its lock: a radix tree of fan-out 512 over the
/// frames whose leaves are whole blocks that are alike, so that it is as deep as the memory is
/// fragmented and its cost grows with blocks.
///
/// Positions are frames counted from the first one managed. The root is a list of blocks of the
/// largest order; `BuddyNode` has the invariants of what lies below.
struct Buddy {
  let levels: Int
  let blockOrder: Int
  /// The frames that exist; those that fill up the last block count as allocated for ever.
  let frameCount: Int

  var nodes: [BuddyNode] = []
  var spareNodes: [UInt32] = []
  /// The blocks of which every frame is free, and those of which every frame is free and zero.
  var freeBlocks: BlockSet
  var zeroedBlocks: BlockSet
  /// Those of which every frame is free and none is known to be zero.
  var dirtyBlocks: BlockSet
  var blockNodes: [UInt32]
  var buckets: [BlockSet]

  var freeCount = 0
  var zeroedCount = 0

  /// All frames allocated.
  init(geometry: Geometry, frameCount: Int) {
    levels = geometry.superpageLevels
    blockOrder = geometry.maximumOrder
    self.frameCount = frameCount
    let blocks = (frameCount + (1 << blockOrder) - 1) >> blockOrder
    freeBlocks = BlockSet(bound: blocks)
    zeroedBlocks = BlockSet(bound: blocks)
    dirtyBlocks = BlockSet(bound: blocks)
    blockNodes = [UInt32](repeating: BuddyNode.noChild, count: blocks)
    buckets = [BlockSet](
      repeating: BlockSet(bound: blocks), count: FrameKind.allCases.count * blockOrder)
  }

  /// The bytes of the tree.
  var metadataBytes: Int {
    nodes.reduce(0) { $0 + $1.metadataBytes } + spareNodes.count * 4 + blockNodes.count * 4
      + buckets.reduce(freeBlocks.metadataBytes * 3) { $0 + $1.metadataBytes }
  }

  /// The largest order that can be given, -1 when nothing is free.
  func largestOrder(_ kind: FrameKind) -> Int {
    if firstBlock(kind) != nil { return blockOrder }
    for order in stride(from: blockOrder - 1, through: 0, by: -1)
    where !buckets[kind.rawValue * blockOrder + order].isEmpty {
      return order
    }
    return -1
  }

  // MARK: Splitting and merging

  func node(ofBlock block: Int) -> Int? {
    blockNodes[block] == BuddyNode.noChild ? nil : Int(blockNodes[block])
  }

  mutating func makeNode(level: Int, free: Bool, zeroed: Bool) -> Int {
    var node = BuddyNode(level: level)
    if free { node.free = .full }
    if zeroed { node.zeroed = .full }
    if let spare = spareNodes.popLast() {
      nodes[Int(spare)] = node
      return Int(spare)
    }
    nodes.append(node)
    return nodes.count - 1
  }

  /// Forgets a node and those below it.
  mutating func drop(_ node: Int) {
    if nodes[node].childCount > 0 {
      for child in nodes[node].children where child != BuddyNode.noChild { drop(Int(child)) }
    }
    nodes[node] = BuddyNode(level: 1)
    spareNodes.append(UInt32(node))
  }

  /// The block's node, made if the block was alike throughout.
  mutating func splitBlock(_ block: Int) -> Int {
    let free = freeBlocks.contains(block)
    let zeroed = zeroedBlocks.contains(block)
    removeBlock(block)
    if let node = node(ofBlock: block) { return node }
    let node = makeNode(level: levels, free: free, zeroed: zeroed)
    blockNodes[block] = UInt32(node)
    return node
  }

  mutating func splitChild(_ child: Int, of node: Int, level: Int) -> Int {
    let free = nodes[node].free.contains(child)
    let zeroed = nodes[node].zeroed.contains(child)
    nodes[node].free.remove(child)
    nodes[node].zeroed.remove(child)
    if let inner = nodes[node].child(child) { return inner }
    let inner = makeNode(level: level - 1, free: free, zeroed: zeroed)
    nodes[node].setChild(child, to: UInt32(inner))
    return inner
  }

  /// Whether a node still tells its frames apart, and whether they are all free and all zero.
  func outcome(_ node: Int) -> (keep: Bool, free: Bool, zeroed: Bool) {
    let free = nodes[node].free.isFull
    let zeroed = free && nodes[node].zeroed.isFull
    // A child with a node of its own is partly allocated or partly dirty: not alike.
    let bare = nodes[node].childCount == 0
    let alike = free ? zeroed || (nodes[node].zeroed.isEmpty && bare) : false
    let allocated = nodes[node].free.isEmpty && bare
    return (!(alike || allocated), free, zeroed)
  }

  /// Restores the invariants of a block whose node has changed.
  mutating func settleBlock(_ block: Int, _ node: Int) {
    let (keep, free, zeroed) = outcome(node)
    let old = nodes[node].registered
    var new = keep ? nodes[node].largestOrders(level: levels) : .none
    if free {
      freeBlocks.insert(block)
      new.any = -1
    }
    if zeroed { zeroedBlocks.insert(block) }
    if free, !keep, !zeroed { dirtyBlocks.insert(block) }
    nodes[node].registered = new
    registerBlock(block, from: old, to: new)
    if !keep {
      blockNodes[block] = BuddyNode.noChild
      drop(node)
    }
  }

  mutating func settleChild(_ child: Int, _ inner: Int, of node: Int, level: Int) {
    let (keep, free, zeroed) = outcome(inner)
    let old = nodes[inner].registered
    var new = keep ? nodes[inner].largestOrders(level: level - 1) : .none
    if free {
      nodes[node].free.insert(child)
      new.any = -1
    }
    if zeroed { nodes[node].zeroed.insert(child) }
    nodes[inner].registered = new
    nodes[node].register(child, from: old, to: new)
    if !keep {
      nodes[node].setChild(child, to: BuddyNode.noChild)
      drop(inner)
    }
  }

  mutating func registerBlock(_ block: Int, from old: BuddyOrders, to new: BuddyOrders) {
    for kind in FrameKind.allCases where old[kind] != new[kind] {
      if old[kind] >= 0 { buckets[kind.rawValue * blockOrder + old[kind]].remove(block) }
      if new[kind] >= 0 { buckets[kind.rawValue * blockOrder + new[kind]].insert(block) }
    }
  }
}
