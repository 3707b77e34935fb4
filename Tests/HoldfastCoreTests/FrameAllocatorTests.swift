import HoldfastCore
import HoldfastTestKit
import Testing

/// What a frame allocator must have, kept frame by frame.
private struct Model {
  var free: [Bool]
  var zeroed: [Bool]
}

@Suite struct FrameAllocatorTests {
  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
  func `random allocations and frees agree with a frame-by-frame model`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let geometry = seed % 2 == 0 ? Geometry.small : Geometry.large
    let count = geometry.superpageLevels == 2 ? (1 << 18) * 2 + 700 : 512 * 3 + 77
    let allocator = FrameAllocator(
      geometry: geometry,
      frames: FrameRun(Frame(1 << 18), PageCount(UInt64(count))), zeroed: seed % 3 == 0)
    var model = Model(
      free: Array(repeating: true, count: count),
      zeroed: Array(repeating: seed % 3 == 0, count: count))
    var held: [FrameRun] = []
    for step in 0..<3000 {
      if held.isEmpty || Int.random(in: 0..<100, using: &random) < 55 {
        let order = Int.random(in: 0...geometry.maximumOrder, using: &random)
        var dirty: [FrameRun] = []
        let largest = Bool.random(using: &random)
        let block =
          largest
          ? allocator.allocateLargest(order: order, dirty: &dirty)
          : allocator.allocate(order: order, dirty: &dirty)
        guard let block else { continue }
        let pages = block.run.count.rawValue
        #expect(pages.nonzeroBitCount == 1 && pages <= 1 << UInt64(order))
        #expect(largest || pages == 1 << UInt64(order))
        #expect(block.run.start.rawValue % pages == 0)
        #expect(block.isZeroed == dirty.isEmpty)
        var dirtyFrames = Set<Frame>()
        for run in dirty {
          for index in 0..<run.count.rawValue {
            dirtyFrames.insert(run.start + PageCount(index))
          }
        }
        var sound = true
        for index in 0..<pages {
          let frame = block.run.start + PageCount(index)
          let position = Int(frame.rawValue) - 1 << 18
          sound = sound && model.free[position]
          sound = sound && model.zeroed[position] != dirtyFrames.contains(frame)
          model.free[position] = false
        }
        #expect(sound, "step \(step)")
        held.append(block.run)
      } else {
        // Free a part of a block, so that blocks are split at any place.
        let index = Int.random(in: held.indices, using: &random)
        let run = held.remove(at: index)
        let low = UInt64.random(in: 0..<run.count.rawValue, using: &random)
        let whole = Bool.random(using: &random)
        let start = whole ? 0 : low
        let length =
          whole
          ? run.count.rawValue : UInt64.random(in: 1...run.count.rawValue - low, using: &random)
        if start > 0 { held.append(FrameRun(run.start, PageCount(start))) }
        let end = start + length
        if end < run.count.rawValue {
          held.append(
            FrameRun(run.start + PageCount(end), PageCount(run.count.rawValue - end)))
        }
        let part = FrameRun(run.start + PageCount(start), PageCount(length))
        let zeroed = Bool.random(using: &random)
        allocator.free(part, zeroed: zeroed)
        for index in 0..<length {
          let position = Int(part.start.rawValue + index) - 1 << 18
          model.free[position] = true
          model.zeroed[position] = zeroed
        }
      }
      if step % 100 == 0 {
        let occupancy = allocator.occupancy
        #expect(occupancy.free.rawValue == model.free.reduce(0) { $0 + ($1 ? 1 : 0) })
        let zeroed = zip(model.free, model.zeroed).reduce(0) { $0 + ($1.0 && $1.1 ? 1 : 0) }
        #expect(occupancy.zeroed.rawValue == zeroed)
      }
    }
    // Once all is free again it is whole again.
    for run in held { allocator.free(run, zeroed: false) }
    #expect(allocator.occupancy.free == allocator.frames.count)
    #expect(allocator.largestFreeOrder == geometry.maximumOrder)
  }

  @Test func `zeroed blocks come first, dirty superpages before zeroed base pages`() throws {
    let allocator = FrameAllocator(
      geometry: .small, frames: FrameRun(Frame(0), PageCount(512 * 4)), zeroed: false)
    var dirty: [FrameRun] = []
    let all = try (0..<4).map { _ in
      try #require(allocator.allocate(order: 9, dirty: &dirty)).run
    }
    allocator.free(all[0], zeroed: false)
    allocator.free(all[2], zeroed: true)
    allocator.free(FrameRun(all[3].start, PageCount(4)), zeroed: true)
    dirty = []
    #expect(allocator.allocateLargest(order: 9, dirty: &dirty)?.run == all[2])
    #expect(dirty.isEmpty)
    #expect(allocator.allocateLargest(order: 9, dirty: &dirty)?.run == all[0])
    #expect(dirty == [all[0]])
    let rest = allocator.allocateLargest(order: 9, dirty: &dirty)
    #expect(rest?.run == FrameRun(all[3].start, PageCount(4)) && rest?.isZeroed == true)
    #expect(allocator.allocateLargest(order: 9, dirty: &dirty) == nil)
  }

  @Test func `a block of both kinds tells its dirty parts`() throws {
    let allocator = FrameAllocator(
      geometry: .small, frames: FrameRun(Frame(0), PageCount(1 << 18)), zeroed: true)
    var dirty: [FrameRun] = []
    _ = try #require(allocator.allocate(order: 18, dirty: &dirty))
    allocator.free(FrameRun(Frame(0), PageCount(1000)), zeroed: true)
    allocator.free(FrameRun(Frame(1000), PageCount(24)), zeroed: false)
    allocator.free(FrameRun(Frame(1024), PageCount(512)), zeroed: false)
    allocator.free(FrameRun(Frame(1536), PageCount((1 << 18) - 1536)), zeroed: true)
    #expect(allocator.occupancy.zeroed == PageCount((1 << 18) - 24 - 512))
    let block = try #require(allocator.allocate(order: 18, dirty: &dirty))
    #expect(!block.isZeroed && dirty == [FrameRun(Frame(1000), PageCount(24 + 512))])
    #expect(allocator.occupancy.free == .zero && allocator.occupancy.zeroed == .zero)
  }

  @Test func `a very frame is allocated only while it is free`() {
    let allocator = FrameAllocator(
      geometry: .small, frames: FrameRun(Frame(0), PageCount(5000)), zeroed: true)
    #expect(allocator.allocate(Frame(4999))?.run == FrameRun(Frame(4999), .one))
    #expect(allocator.allocate(Frame(4999)) == nil)
    #expect(allocator.allocate(Frame(5000)) == nil)
    #expect(allocator.occupancy.free == PageCount(4999))
    allocator.free(FrameRun(Frame(4999), .one), zeroed: true)
    #expect(allocator.occupancy.free == PageCount(5000))
  }

  @Test func `freeing twice traps`() async {
    await #expect(processExitsWith: .failure) {
      let allocator = FrameAllocator(
        geometry: .small, frames: FrameRun(Frame(0), PageCount(5000)), zeroed: true)
      var dirty: [FrameRun] = []
      let run = allocator.allocate(order: 3, dirty: &dirty)!.run
      allocator.free(run, zeroed: true)
      allocator.free(FrameRun(run.start + .one, .one), zeroed: true)
    }
  }

  @Test func `freeing a foreign frame traps`() async {
    await #expect(processExitsWith: .failure) {
      let allocator = FrameAllocator(
        geometry: .small, frames: FrameRun(Frame(0), PageCount(5000)), zeroed: true)
      allocator.free(FrameRun(Frame(5000), .one), zeroed: true)
    }
  }

  @Test func `metadata stay under a thousandth of the memory when it is fragmented to bits`() {
    let allocator = FrameAllocator(
      geometry: .small, frames: FrameRun(Frame(0), PageCount(1 << 18)), zeroed: false)
    for index in 0..<UInt64(1 << 18) where index % 2 == 0 {
      _ = allocator.allocate(Frame(index))
    }
    #expect(allocator.metadata.rawValue * 1000 < ByteCount.gibibytes(1).rawValue)
  }
}
