import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// Blocks of the largest size that are allocated in one call are those that as many calls would
/// allocate.
struct AdjacentBlocksTests {
  private static let blocks = 100
  private static let block = PageCount(512)

  /// An allocator whose blocks are zeroed, dirty, of both kinds, allocated, or allocated in part.
  private static func allocator(_ seed: UInt64) -> FrameAllocator {
    var random = SeededGenerator(seed: seed)
    let frames = FrameRun(Frame(0), PageCount(UInt64(blocks) * block.rawValue))
    let allocator = FrameAllocator(geometry: .large, checked: frames, zeroed: true)
    var dirty: [FrameRun] = []
    _ = allocator.allocateLargest(order: 9, limit: frames.count, dirty: &dirty)
    _ = allocator.allocateLargest(order: 9, limit: frames.count, dirty: &dirty)
    // Long runs of one kind, and short ones.
    var state = 0
    for number in 0..<UInt64(blocks) {
      if UInt64.random(in: 0..<4, using: &random) == 0 {
        state = Int.random(in: 0..<5, using: &random)
      }
      let run = FrameRun(Frame(number * block.rawValue), block)
      let half = PageCount(block.rawValue / 2)
      switch state {
      case 0: allocator.free(run, zeroed: true)
      case 1: allocator.free(run, zeroed: false)
      case 2:
        allocator.free(FrameRun(run.start, half), zeroed: true)
        allocator.free(FrameRun(run.start + half, half), zeroed: false)
      case 3: allocator.free(FrameRun(run.start, half), zeroed: true)
      default: break
      }
    }
    return allocator
  }

  @Test(arguments: 0..<40 as Range<UInt64>)
  func `one call allocates what several do`(seed: UInt64) throws {
    let (together, apart) = (Self.allocator(seed), Self.allocator(seed))
    #expect(together.occupancy == apart.occupancy)
    var random = SeededGenerator(seed: seed + 1000)
    var longest = PageCount.zero
    while true {
      let limit = PageCount(.random(in: 1...20 * Self.block.rawValue, using: &random))
      let order = Geometry.large.largestOrder(at: Frame(0), limit: limit)
      var dirty: [FrameRun] = []
      var expected: [FrameRun] = []
      let made = together.allocateLargest(order: order, limit: limit, dirty: &dirty)
      let first = apart.allocateLargest(order: order, dirty: &expected)
      #expect(made?.run.start == first?.run.start)
      guard let made, var end = first?.run.end else { break }
      while end < made.run.end {
        let next = try #require(apart.allocateLargest(order: 9, dirty: &expected))
        #expect(next.run == FrameRun(end, Self.block))
        end = next.run.end
      }
      #expect(end == made.run.end && made.run.count <= max(limit, Self.block))
      #expect(made.isZeroed == dirty.isEmpty && frames(dirty) == frames(expected))
      #expect(together.occupancy == apart.occupancy)
      longest = max(longest, made.run.count)
      // No block that could have been a part of it was left.
      guard order == 9, made.run.count >= Self.block, limit - made.run.count >= Self.block else {
        continue
      }
      var rest: [FrameRun] = []
      guard let next = apart.allocateLargest(order: 9, dirty: &rest) else { continue }
      let isPart = next.run == FrameRun(end, Self.block) && next.isZeroed == made.isZeroed
      #expect(!isPart, "\(made.run) of \(limit), then \(next.run)")
      apart.free(next.run, zeroed: true)
      for run in rest {
        // Back to the kind that it was.
        #expect(apart.allocate(run, dirty: &expected))
        apart.free(run, zeroed: false)
      }
    }
    #expect(longest > Self.block)
  }

  /// All frames that runs have, however they are cut.
  private func frames(_ runs: [FrameRun]) -> Set<UInt64> {
    Set(runs.flatMap { $0.start.rawValue..<$0.end.rawValue })
  }

  @Test func `no call keeps the lock for more than 64 blocks`() {
    let all = FrameRun(Frame(0), PageCount(100 * Self.block.rawValue))
    let allocator = FrameAllocator(geometry: .large, checked: all, zeroed: true)
    var dirty: [FrameRun] = []
    let first = allocator.allocateLargest(order: 9, limit: all.count, dirty: &dirty)
    let second = allocator.allocateLargest(order: 9, limit: all.count, dirty: &dirty)
    #expect(first?.run.count.rawValue == 64 * 512 && second?.run.count.rawValue == 36 * 512)
    #expect(second?.run.start == first?.run.end && allocator.occupancy.free == .zero)
  }
}
