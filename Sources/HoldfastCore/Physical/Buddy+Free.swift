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
