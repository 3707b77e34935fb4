/// How the free memory lies: the blocks of each order that it is made of, each as large as alignment
/// and its neighbours allow (FreeBSD: the `vm.phys_free` sysctl; Linux: `/proc/buddyinfo`).
public struct FreeBlocks: Hashable, Sendable {
  /// How many blocks there are of each order, from 0 to the geometry's largest.
  public private(set) var counts: [UInt64]

  init(maximumOrder: Int) {
    counts = [UInt64](repeating: 0, count: maximumOrder + 1)
  }

  /// The blocks of two parts of memory.
  static func + (left: FreeBlocks, right: FreeBlocks) -> FreeBlocks {
    var sum = left
    for order in sum.counts.indices { sum.counts[order] += right.counts[order] }
    return sum
  }

  /// The pages in blocks of an order and of larger ones.
  public func pages(inBlocksFrom order: Int) -> PageCount {
    var pages = PageCount.zero
    for order in counts.indices.dropFirst(order) {
      pages += PageCount(counts[order] << UInt64(order))
    }
    return pages
  }

  /// All that is free.
  public var pages: PageCount { pages(inBlocksFrom: 0) }

  /// The share of the free memory, from 0 to 1, that lies in blocks smaller than those of an order,
  /// so that no block of the order can be made of it; 0 where nothing is free (Linux: the unusable
  /// free space index of `/sys/kernel/debug/extfrag`).
  public func fragmentation(below order: Int) -> Double {
    let all = pages
    if all == .zero { return 0 }
    return Double((all - pages(inBlocksFrom: order)).rawValue) / Double(all.rawValue)
  }

  mutating func add(_ blocks: Int, ofOrder order: Int) {
    counts[order] += UInt64(blocks)
  }
}

extension Buddy {
  /// - Complexity: O(blocks of the largest order + nodes).
  var blocksFree: FreeBlocks {
    var blocks = FreeBlocks(maximumOrder: blockOrder)
    blocks.add(freeBlocks.count, ofOrder: blockOrder)
    for node in blockNodes where node != BuddyNode.noChild {
      let isWhole = nodes[Int(node)].free.isFull
      // Of both kinds, free and zeroed: it stands among the free blocks.
      if !isWhole { count(Int(node), level: levels, &blocks) }
    }
    return blocks
  }

  private func count(_ node: Int, level: Int, _ blocks: inout FreeBlocks) {
    let childOrder = (level - 1) * Geometry.levelShift
    for order in 0..<Geometry.levelShift {
      let number = nodes[node].free.maximalBlocks(ofOrder: order)
      if number > 0 { blocks.add(number, ofOrder: childOrder + order) }
    }
    for (index, child) in nodes[node].children.enumerated()
    where child != BuddyNode.noChild && !nodes[node].free.contains(index) {
      count(Int(child), level: level - 1, &blocks)
    }
  }
}
