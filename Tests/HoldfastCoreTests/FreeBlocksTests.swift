import HoldfastCore
import HoldfastTestKit
import Testing

struct FreeBlocksTests {
  /// The largest aligned blocks of a row of frames, found by trying all.
  private func counts(_ isFree: [Bool], maximumOrder: Int) -> [UInt64] {
    var counts = [UInt64](repeating: 0, count: maximumOrder + 1)
    var position = 0
    while position < isFree.count {
      guard isFree[position] else {
        position += 1
        continue
      }
      var order = 0
      while order < maximumOrder, position % (2 << order) == 0,
        position + 2 << order <= isFree.count,
        isFree[position..<position + 2 << order].allSatisfy({ $0 })
      {
        order += 1
      }
      counts[order] += 1
      position += 1 << order
    }
    return counts
  }

  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6])
  func `blocks and largest orders match a frame-by-frame scan`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let geometry = seed % 2 == 0 ? Geometry.small : Geometry.large
    let count = geometry.superpageLevels == 2 ? (1 << 18) + 1500 : 512 * 3 + 77
    let allocator = FrameAllocator(
      geometry: geometry, checked: FrameRun(Frame(0), PageCount(UInt64(count))), zeroed: true)
    var isFree = [Bool](repeating: true, count: count)
    for round in 0..<20 {
      for _ in 0..<50 {
        let order = Int.random(in: 0...min(12, geometry.maximumOrder), using: &random)
        var dirty: [FrameRun] = []
        if Bool.random(using: &random) {
          guard let run = allocator.allocate(order: order, dirty: &dirty)?.run else { continue }
          for frame in run.start.rawValue..<run.end.rawValue { isFree[Int(frame)] = false }
        } else {
          // A hole of any length in what is allocated.
          let start = Int.random(in: 0..<count, using: &random)
          let run = isFree[start...].prefix(1 << order).prefix { !$0 }
          guard !run.isEmpty else { continue }
          allocator.free(
            FrameRun(Frame(UInt64(start)), PageCount(UInt64(run.count))),
            zeroed: Bool.random(using: &random))
          for frame in run.indices { isFree[frame] = true }
        }
      }
      let expected = counts(isFree, maximumOrder: geometry.maximumOrder)
      let blocks = allocator.freeBlocks
      #expect(blocks.counts == expected, "round \(round)")
      #expect(blocks.pages == allocator.occupancy.free)
      #expect(allocator.largestFreeOrder == expected.lastIndex { $0 > 0 })
    }
  }

  @Test func `fragmentation is the share of free memory in smaller blocks`() {
    let allocator = FrameAllocator(
      geometry: .small, checked: FrameRun(Frame(0), PageCount(2048)), zeroed: true)
    #expect(allocator.freeBlocks.fragmentation(below: 9) == 0)
    #expect(allocator.freeBlocks.fragmentation(below: 18) == 1)
    _ = allocator.allocate(Frame(0))
    // 511 of 2047 free frames are in the superpage that is broken.
    #expect(allocator.freeBlocks.fragmentation(below: 9) == 511.0 / 2047)
    #expect(allocator.freeBlocks.pages(inBlocksFrom: 9) == PageCount(1536))
    var dirty: [FrameRun] = []
    while allocator.allocateLargest(order: 18, dirty: &dirty) != nil {}
    #expect(allocator.freeBlocks.fragmentation(below: 9) == 0)
  }
}
