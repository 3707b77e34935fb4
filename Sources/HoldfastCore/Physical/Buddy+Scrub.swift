// For zeroing ahead: blocks that are wholly dirty. They are registered as the other kinds are, so
// that the largest is found without a search.

extension BuddyNode {
  /// The children without a node of which every frame is free and none is known to be zero.
  var dirty: Bits512 {
    let dirty = free.subtracting(zeroed)
    return childCount == 0 ? dirty : dirty.subtracting(split)
  }
}

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
