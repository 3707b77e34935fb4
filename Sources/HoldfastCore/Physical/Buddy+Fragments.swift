// For compaction: the free frames of one superpage block (a block of level 1), and free frames of
// blocks that are partly in use.

extension Buddy {
  private static let order = Geometry.levelShift

  /// The node of a superpage block, or nil where its frames are all alike.
  func leaf(_ superpage: Int) -> Int? {
    if levels == 1 { return node(ofBlock: superpage) }
    guard let node = node(ofBlock: superpage >> Self.order) else { return nil }
    return nodes[node].child(superpage & 511)
  }

  /// The number of free frames in a superpage block.
  func freeCount(ofSuperpage superpage: Int) -> Int {
    let block = levels == 1 ? superpage : superpage >> Self.order
    if freeBlocks.contains(block) { return 512 }
    if let leaf = leaf(superpage) { return nodes[leaf].free.count }
    guard levels > 1, let node = node(ofBlock: block) else { return 0 }
    return nodes[node].free.contains(superpage & 511) ? 512 : 0
  }

  /// Allocates every free frame of a superpage block of which some frames are not free.
  mutating func takeFree(ofSuperpage superpage: Int) -> [(range: Range<Int>, zeroed: Bool)] {
    var taken: [(Range<Int>, Bool)] = []
    changeLeaf(superpage) { (buddy, leaf) in
      var position = 0
      while position < 512 {
        let free = buddy.nodes[leaf].free.run(from: position, to: 512)
        if buddy.nodes[leaf].free.contains(position) {
          let alike = buddy.nodes[leaf].zeroed.run(from: position, to: free.upperBound)
          taken.append((alike, buddy.nodes[leaf].zeroed.contains(position)))
          position = alike.upperBound
        } else {
          position = free.upperBound
        }
      }
      buddy.nodes[leaf].free = .empty
      buddy.nodes[leaf].zeroed = .empty
    }
    let origin = superpage << Self.order
    for (range, zeroed) in taken { count(fragment: range.count, zeroed: zeroed ? range.count : 0) }
    return taken.map { ($0.lowerBound + origin..<$0.upperBound + origin, $1) }
  }

  /// Allocates at most `limit` contiguous frames of a superpage block of which some frames are not
  /// free; nil where no frame is free or all are.
  mutating func takeFragment(ofSuperpage superpage: Int, limit: Int) -> Range<Int>? {
    guard (1..<512).contains(freeCount(ofSuperpage: superpage)) else { return nil }
    var found = 0..<0
    var zeroed = 0
    changeLeaf(superpage) { (buddy, leaf) in
      guard let first = buddy.nodes[leaf].free.first else { return }
      found = buddy.nodes[leaf].free.run(from: first, to: min(512, first + limit))
      for frame in found where buddy.nodes[leaf].zeroed.contains(frame) { zeroed += 1 }
      buddy.nodes[leaf].free.remove(found)
      buddy.nodes[leaf].zeroed.remove(found)
    }
    count(fragment: found.count, zeroed: zeroed)
    let origin = superpage << Self.order
    return found.lowerBound + origin..<found.upperBound + origin
  }

  /// Calls `body` to change a superpage block's node, and restores the invariants above it.
  private mutating func changeLeaf(_ superpage: Int, _ body: (inout Buddy, Int) -> Void) {
    if levels == 1 {
      let node = splitBlock(superpage)
      body(&self, node)
      settleBlock(superpage, node)
      return
    }
    let block = superpage >> Self.order
    let child = superpage & 511
    let node = splitBlock(block)
    let inner = splitChild(child, of: node, level: levels)
    body(&self, inner)
    settleChild(child, inner, of: node, level: levels)
    settleBlock(block, node)
  }

  private mutating func count(fragment frames: Int, zeroed: Int) {
    freeCount -= frames
    zeroedCount -= zeroed
  }
}
