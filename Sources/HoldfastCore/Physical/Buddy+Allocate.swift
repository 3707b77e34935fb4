extension Buddy {
  /// Allocates a naturally aligned block of 2^order frames, from the tightest fit at the lowest
  /// position, and appends those of its frames that are not known to be zero to `dirty`.
  mutating func allocate(order: Int, _ kind: FrameKind, dirty: inout [Range<Int>]) -> Int? {
    var fit = order
    while fit < blockOrder {
      if let block = buckets[kind.rawValue * blockOrder + fit].first {
        return takePart(of: block, order: order, kind, dirty: &dirty)
      }
      fit += 1
    }
    guard let block = firstBlock(kind) else { return nil }
    if order < blockOrder { return takePart(of: block, order: order, kind, dirty: &dirty) }
    return takeBlock(block, dirty: &dirty)
  }

  /// Allocates, behind a block of the largest order, the blocks that further calls of `allocate`
  /// would: those that follow it without a gap, as long as all of their frames are of the kind.
  ///
  /// - Parameter limit: the most frames together; no more than `mostBlocks` are allocated.
  /// - Returns: the range of all of them.
  mutating func extended(
    _ first: Range<Int>, to limit: Int, _ kind: FrameKind, dirty: inout [Range<Int>]
  ) -> Range<Int> {
    let most = min(limit, Buddy.mostBlocks << blockOrder)
    var end = first.upperBound
    while end + 1 << blockOrder - first.lowerBound <= most, isFree(end >> blockOrder, kind) {
      end = takeBlock(end >> blockOrder, dirty: &dirty) + 1 << blockOrder
    }
    return first.lowerBound..<end
  }

  /// How many blocks one call allocates at most: so many that the time in the allocator counts
  /// little, and so few that no thread waits long for the lock.
  static let mostBlocks = 64

  /// Whether every frame of a block, if there is such a block, is of the kind.
  private func isFree(_ block: Int, _ kind: FrameKind) -> Bool {
    guard block < blockNodes.count else { return false }
    return switch kind {
    case .any: freeBlocks.contains(block)
    case .zeroed: zeroedBlocks.contains(block)
    case .dirty: dirtyBlocks.contains(block)
    }
  }

  /// Allocates the block of a level's order at `position`, or returns false if not all of it is
  /// free.
  mutating func allocate(at position: Int, order: Int, dirty: inout [Range<Int>]) -> Bool {
    guard position >= 0, position < frameCount, order <= blockOrder else { return false }
    let block = position >> blockOrder
    if order == blockOrder {
      guard freeBlocks.contains(block) else { return false }
      _ = takeBlock(block, dirty: &dirty)
      return true
    }
    guard freeBlocks.contains(block) || node(ofBlock: block) != nil else { return false }
    // A wholly free block is split only if the allocation succeeds, so no node is made for nothing.
    let node = splitBlock(block)
    let inside = position & ((1 << blockOrder) - 1)
    let taken = take(
      at: inside, order: order, node, level: levels, origin: block << blockOrder, dirty: &dirty)
    settleBlock(block, node)
    if taken { count(taken: 1 << order, at: position, dirty) }
    return taken
  }

  /// Allocates a whole block that is free.
  private mutating func takeBlock(_ block: Int, dirty: inout [Range<Int>]) -> Int {
    let start = block << blockOrder
    if let node = node(ofBlock: block) {
      collectDirty(node, level: levels, at: start, 0..<512, into: &dirty)
      registerBlock(block, from: nodes[node].registered, to: .none)
      blockNodes[block] = BuddyNode.noChild
      drop(node)
    } else if !zeroedBlocks.contains(block) {
      append(start..<start + (1 << blockOrder), to: &dirty)
    }
    removeBlock(block)
    count(taken: 1 << blockOrder, at: start, dirty)
    return start
  }

  /// Allocates a part of a block that is known to have one of the order.
  private mutating func takePart(
    of block: Int, order: Int, _ kind: FrameKind, dirty: inout [Range<Int>]
  ) -> Int {
    let node = splitBlock(block)
    let start = take(
      order: order, kind, node, level: levels, origin: block << blockOrder, dirty: &dirty)
    settleBlock(block, node)
    count(taken: 1 << order, at: start, dirty)
    return start
  }

  /// Allocates a block of the order in a node that is known to have one.
  private mutating func take(
    order: Int, _ kind: FrameKind, _ node: Int, level: Int, origin: Int, dirty: inout [Range<Int>]
  ) -> Int {
    let childOrder = (level - 1) * Geometry.levelShift
    if order >= childOrder {
      guard let first = nodes[node].bits(kind).firstBlock(ofOrder: order - childOrder) else {
        preconditionFailure("a buddy node is registered with an order that it cannot serve")
      }
      let range = first..<first + (1 << (order - childOrder))
      collectDirty(node, level: level, at: origin, range, into: &dirty)
      takeChildren(range, of: node)
      return origin + first << childOrder
    }
    guard
      let child = nodes[node].partialChild(kind, order: order) ?? nodes[node].bits(kind).first
    else {
      preconditionFailure("a buddy node is registered with an order that it cannot serve")
    }
    let inner = splitChild(child, of: node, level: level)
    let start = take(
      order: order, kind, inner, level: level - 1, origin: origin + child << childOrder,
      dirty: &dirty)
    settleChild(child, inner, of: node, level: level)
    return start
  }

  /// Allocates the block at a position in a node, or returns false if not all of it is free.
  private mutating func take(
    at inside: Int, order: Int, _ node: Int, level: Int, origin: Int, dirty: inout [Range<Int>]
  ) -> Bool {
    let childOrder = (level - 1) * Geometry.levelShift
    let child = inside >> childOrder
    if childOrder == order {
      guard nodes[node].free.contains(child) else { return false }
      collectDirty(node, level: level, at: origin, child..<child + 1, into: &dirty)
      takeChildren(child..<child + 1, of: node)
      return true
    }
    guard nodes[node].free.contains(child) || nodes[node].child(child) != nil else { return false }
    let inner = splitChild(child, of: node, level: level)
    let taken = take(
      at: inside & ((1 << childOrder) - 1), order: order, inner, level: level - 1,
      origin: origin + child << childOrder, dirty: &dirty)
    settleChild(child, inner, of: node, level: level)
    return taken
  }

  /// Appends the frames of a range of free children that are not known to be zero to `dirty`.
  private func collectDirty(
    _ node: Int, level: Int, at origin: Int, _ range: Range<Int>, into dirty: inout [Range<Int>]
  ) {
    let childOrder = (level - 1) * Geometry.levelShift
    var child = range.lowerBound
    while child < range.upperBound {
      let alike = nodes[node].zeroed.run(from: child, to: range.upperBound)
      if !nodes[node].zeroed.contains(child) {
        if level == 1 {
          append(origin + alike.lowerBound..<origin + alike.upperBound, to: &dirty)
        } else {
          for child in alike {
            let start = origin + child << childOrder
            if let inner = nodes[node].child(child) {
              collectDirty(inner, level: level - 1, at: start, 0..<512, into: &dirty)
            } else {
              append(start..<start + (1 << childOrder), to: &dirty)
            }
          }
        }
      }
      child = alike.upperBound
    }
  }

  private mutating func takeChildren(_ range: Range<Int>, of node: Int) {
    if nodes[node].childCount > 0 {
      for child in range {
        guard let inner = nodes[node].child(child) else { continue }
        nodes[node].register(child, from: nodes[inner].registered, to: .none)
        nodes[node].setChild(child, to: BuddyNode.noChild)
        drop(inner)
      }
    }
    nodes[node].free.remove(range)
    nodes[node].zeroed.remove(range)
  }

  private func append(_ range: Range<Int>, to ranges: inout [Range<Int>]) {
    if let last = ranges.last, last.upperBound == range.lowerBound {
      ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
    } else {
      ranges.append(range)
    }
  }

  private mutating func count(taken frames: Int, at start: Int, _ dirty: [Range<Int>]) {
    freeCount -= frames
    var zeroed = frames
    var index = dirty.count - 1
    // The dirty parts of this block are the last ones of the list.
    while index >= 0, dirty[index].upperBound > start, dirty[index].lowerBound < start + frames {
      zeroed -= min(dirty[index].upperBound, start + frames) - max(dirty[index].lowerBound, start)
      index -= 1
    }
    zeroedCount -= zeroed
  }
}
