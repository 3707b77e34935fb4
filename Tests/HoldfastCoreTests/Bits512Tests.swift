import HoldfastTestKit
import Testing

@testable import HoldfastCore

struct Bits512Tests {
  /// Sets of every density, so that the largest block is of every order.
  private func sets(_ random: inout SeededGenerator) -> [[Bool]] {
    var sets = [[Bool](repeating: false, count: 512), [Bool](repeating: true, count: 512)]
    for order in 0...9 {
      for _ in 0..<20 {
        var members = (0..<512).map { _ in random.next() % 8 == 0 }
        let start = Int(random.next() % UInt64(512 >> order)) << order
        for index in start..<start + 1 << order { members[index] = true }
        sets.append(members)
        // One member less than a block.
        members[start + Int(random.next() % UInt64(1 << order))] = false
        sets.append(members)
      }
    }
    return sets
  }

  @Test func `free blocks match an exhaustive search`() {
    var random = SeededGenerator(seed: 5)
    for members in sets(&random) {
      var bits = Bits512.empty
      for index in 0..<512 where members[index] { bits.insert(index) }
      var largest = -1
      for order in 0...9 {
        let starts = stride(from: 0, to: 512, by: 1 << order).filter { start in
          members[start..<start + 1 << order].allSatisfy { $0 }
        }
        if !starts.isEmpty { largest = order }
        #expect(bits.firstBlock(ofOrder: order) == starts.first)
        guard order < 9 else { continue }
        let maximal = starts.filter { start in
          let parent = start - start % (2 << order)
          return !members[parent..<parent + 2 << order].allSatisfy { $0 }
        }
        #expect(bits.maximalBlocks(ofOrder: order) == maximal.count, "order \(order)")
      }
      #expect(bits.largestOrder == largest)
    }
  }
}
