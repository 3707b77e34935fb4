/// The fragmentation of the free memory: its blocks of each order, each as large as alignment and
/// its neighbors allow (FreeBSD: the `vm.phys_free` sysctl; Linux: `/proc/buddyinfo`).
public struct FreeBlocks: Hashable, Sendable {
  /// The number of blocks of each order, from 0 to the geometry's largest.
  public private(set) var counts: [UInt64]

  /// No blocks.
  init(maximumOrder: Int) {
    counts = [UInt64](repeating: 0, count: maximumOrder + 1)
  }

  /// The blocks of two parts of memory.
  static func + (left: FreeBlocks, right: FreeBlocks) -> FreeBlocks {
    var sum = left
    for order in sum.counts.indices { sum.counts[order] += right.counts[order] }
    return sum
  }

  /// The number of pages in blocks of an order and of larger ones.
  public func pages(inBlocksFrom order: Int) -> PageCount {
    var pages = PageCount.zero
    for order in counts.indices.dropFirst(max(0, order)) {
      pages += PageCount(counts[order] << UInt64(order))
    }
    return pages
  }

  /// The number of all free pages.
  public var pages: PageCount { pages(inBlocksFrom: 0) }

  /// The share of the free memory, from 0 to 1, that lies in smaller blocks than those of an order,
  /// so that it cannot serve the order; 0 when no page is free (Linux: the unusable free space
  /// index of `/sys/kernel/debug/extfrag`).
  public func fragmentation(below order: Int) -> Double {
    let all = pages
    if all == .zero { return 0 }
    return Double((all - pages(inBlocksFrom: order)).rawValue) / Double(all.rawValue)
  }

  /// Counts blocks of an order.
  mutating func add(_ blocks: Int, ofOrder order: Int) {
    counts[order] += UInt64(blocks)
  }
}

extension Buddy {
  /// The blocks that the free frames form.
  ///
  /// - Complexity: O(blocks of the largest order + nodes).
  var blocksFree: FreeBlocks {
    var blocks = FreeBlocks(maximumOrder: blockOrder)
    blocks.add(freeBlocks.count, ofOrder: blockOrder)
    for node in blockNodes where node != BuddyNode.noChild {
      let isWhole = nodes[Int(node)].free.isFull
      // A block that is wholly free, in part dirty, is counted among the free blocks.
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
