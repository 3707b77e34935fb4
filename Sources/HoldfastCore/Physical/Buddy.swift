/// The buddy system of a `FrameDomain`, without a lock: a radix tree of fan-out 512 over the
/// frames. Its leaves are blocks whose frames are alike, so it is as deep as the memory is
/// fragmented, and its cost grows with blocks.
///
/// Positions are frames counted from the first one managed. The root is a list of blocks of the
/// largest order; `BuddyNode` has the invariants of the levels below.
struct Buddy {
  /// The number of superpage levels.
  let levels: Int
  /// The order of the largest blocks.
  let blockOrder: Int
  /// The number of frames. Positions beyond it, which fill up the last block, stay allocated.
  let frameCount: Int

  /// The nodes, used and spare.
  var nodes: [BuddyNode] = []
  /// The indices of the spare nodes.
  var spareNodes: [UInt32] = []
  /// The blocks of which every frame is free.
  var freeBlocks: BlockSet
  /// The blocks of which every frame is free and zero.
  var zeroedBlocks: BlockSet
  /// The blocks of which every frame is free and none is known to be zero.
  var dirtyBlocks: BlockSet
  /// The node of each block, or `BuddyNode.noChild`.
  var blockNodes: [UInt32]
  /// The blocks with a node, by kind and by the largest order that they can serve.
  var buckets: [BlockSet]

  /// The number of free frames.
  var freeCount = 0
  /// The number of free frames that are known to be zero.
  var zeroedCount = 0

  /// A buddy system of frames that are all allocated.
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

  /// The size of the tree in bytes.
  var metadataBytes: Int {
    nodes.reduce(0) { $0 + $1.metadataBytes } + spareNodes.count * 4 + blockNodes.count * 4
      + buckets.reduce(freeBlocks.metadataBytes * 3) { $0 + $1.metadataBytes }
  }

  /// The largest order of which a block can be allocated; -1 when no frame of the kind is free.
  func largestOrder(_ kind: FrameKind) -> Int {
    if firstBlock(kind) != nil { return blockOrder }
    for order in stride(from: blockOrder - 1, through: 0, by: -1)
    where !buckets[kind.rawValue * blockOrder + order].isEmpty {
      return order
    }
    return -1
  }

  // MARK: Splitting and merging

  /// The node of a block whose frames are not all alike.
  func node(ofBlock block: Int) -> Int? {
    blockNodes[block] == BuddyNode.noChild ? nil : Int(blockNodes[block])
  }

  /// Makes a node whose children are all alike, and returns its index.
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

  /// Removes a node and those below it.
  mutating func drop(_ node: Int) {
    if nodes[node].childCount > 0 {
      for child in nodes[node].children where child != BuddyNode.noChild { drop(Int(child)) }
    }
    nodes[node] = BuddyNode(level: 1)
    spareNodes.append(UInt32(node))
  }

  /// Returns the block's node, and makes one if its frames were all alike.
  mutating func splitBlock(_ block: Int) -> Int {
    let free = freeBlocks.contains(block)
    let zeroed = zeroedBlocks.contains(block)
    removeBlock(block)
    if let node = node(ofBlock: block) { return node }
    let node = makeNode(level: levels, free: free, zeroed: zeroed)
    blockNodes[block] = UInt32(node)
    return node
  }

  /// Returns the child's node, and makes one if its frames were all alike.
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

  /// Whether a node's frames still differ, so that it is kept; whether all are free; whether all
  /// are zero too.
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

  /// Restores the invariants of a child whose node has changed.
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

  /// Moves a block between buckets when the orders that it can serve have changed.
  mutating func registerBlock(_ block: Int, from old: BuddyOrders, to new: BuddyOrders) {
    for kind in FrameKind.allCases where old[kind] != new[kind] {
      if old[kind] >= 0 { buckets[kind.rawValue * blockOrder + old[kind]].remove(block) }
      if new[kind] >= 0 { buckets[kind.rawValue * blockOrder + new[kind]].insert(block) }
    }
  }
}

// MARK: Freeing

extension Buddy {
  /// Frees frames. Traps on a frame that is free already or was never managed.
  mutating func free(_ range: Range<Int>, zeroed: Bool) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= frameCount, "a foreign frame is freed")
    var start = range.lowerBound
    while start < range.upperBound {
      let block = start >> blockOrder
      let origin = block << blockOrder
      let end = min(range.upperBound, origin + 1 << blockOrder)
      if end - start == 1 << blockOrder {
        precondition(
          node(ofBlock: block) == nil && !freeBlocks.contains(block), "a frame is freed twice")
        freeBlocks.insert(block)
        if zeroed { zeroedBlocks.insert(block) } else { dirtyBlocks.insert(block) }
      } else {
        precondition(!freeBlocks.contains(block), "a frame is freed twice")
        let node = splitBlock(block)
        free(start - origin..<end - origin, zeroed: zeroed, node, level: levels)
        settleBlock(block, node)
      }
      start = end
    }
    freeCount += range.count
    if zeroed { zeroedCount += range.count }
  }

  private mutating func free(_ range: Range<Int>, zeroed: Bool, _ node: Int, level: Int) {
    let childOrder = (level - 1) * Geometry.levelShift
    if level == 1 {
      precondition(!nodes[node].free.containsAny(range), "a frame is freed twice")
      nodes[node].free.insert(range)
      if zeroed { nodes[node].zeroed.insert(range) }
      return
    }
    var start = range.lowerBound
    while start < range.upperBound {
      let child = start >> childOrder
      let origin = child << childOrder
      let end = min(range.upperBound, origin + 1 << childOrder)
      precondition(!nodes[node].free.contains(child), "a frame is freed twice")
      if end - start == 1 << childOrder {
        precondition(nodes[node].child(child) == nil, "a frame is freed twice")
        nodes[node].free.insert(child)
        if zeroed { nodes[node].zeroed.insert(child) }
      } else {
        let inner = splitChild(child, of: node, level: level)
        free(start - origin..<end - origin, zeroed: zeroed, inner, level: level - 1)
        settleChild(child, inner, of: node, level: level)
      }
      start = end
    }
  }
}

// MARK: Kinds of blocks

// Wholly dirty blocks are registered as the other kinds are, so that zeroing ahead finds the largest
// without a search.

extension Buddy {
  /// The lowest block of the largest order of which every frame is of the kind.
  func firstBlock(_ kind: FrameKind) -> Int? {
    switch kind {
    case .any: freeBlocks.first
    case .zeroed: zeroedBlocks.first
    case .dirty: dirtyBlocks.first
    }
  }

  /// Removes a block from all sets, because it is allocated or gets a node.
  mutating func removeBlock(_ block: Int) {
    freeBlocks.remove(block)
    zeroedBlocks.remove(block)
    dirtyBlocks.remove(block)
  }

  /// Allocates the largest block of at most 2^`largestOrder` frames of which every frame is free
  /// and dirty.
  mutating func takeDirty(largestOrder: Int) -> Range<Int>? {
    let order = min(largestOrder, self.largestOrder(.dirty))
    var dirty: [Range<Int>] = []
    guard order >= 0, let start = allocate(order: order, .dirty, dirty: &dirty) else { return nil }
    return start..<start + 1 << order
  }
}
