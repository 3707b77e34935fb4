import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// A model of a frame allocator, with a byte for each frame. It compares and sets whole ranges at
/// once, because a block may have 262,144 frames.
private final class Model {
  static let allocated: UInt8 = 0
  static let dirty: UInt8 = 1
  static let zeroed: UInt8 = 2

  private let first: Frame
  private let states: UnsafeMutableRawBufferPointer
  private let scratch: UnsafeMutableRawBufferPointer
  private(set) var free: UInt64
  private(set) var zeroedFrames: UInt64

  init(_ frames: FrameRun, zeroed: Bool) {
    first = frames.start
    states = .allocate(byteCount: Int(frames.count.rawValue), alignment: 16)
    scratch = .allocate(byteCount: states.count, alignment: 16)
    free = frames.count.rawValue
    zeroedFrames = zeroed ? free : 0
    set(frames, in: states, to: zeroed ? Model.zeroed : Model.dirty)
  }

  deinit {
    states.deallocate()
    scratch.deallocate()
  }

  private func set(_ run: FrameRun, in bytes: UnsafeMutableRawBufferPointer, to state: UInt8) {
    let start = Int((run.start - first).rawValue)
    memset(bytes.baseAddress! + start, Int32(state), Int(run.count.rawValue))
  }

  /// Allocates the run. Returns whether all of it was free and `dirty` is exactly its part that is
  /// not zero.
  func allocate(_ run: FrameRun, dirty: [FrameRun]) -> Bool {
    set(run, in: scratch, to: Model.zeroed)
    var zeroed = run.count.rawValue
    for part in dirty {
      guard part.start >= run.start, part.end <= run.end else { return false }
      set(part, in: scratch, to: Model.dirty)
      zeroed -= part.count.rawValue
    }
    let start = Int((run.start - first).rawValue)
    let count = Int(run.count.rawValue)
    guard memcmp(states.baseAddress! + start, scratch.baseAddress! + start, count) == 0 else {
      return false
    }
    set(run, in: states, to: Model.allocated)
    free -= run.count.rawValue
    zeroedFrames -= zeroed
    return true
  }

  /// The largest order of a naturally aligned block of which every frame is dirty, or -1.
  func largestDirtyOrder(_ maximum: Int) -> Int {
    let pattern = [UInt8](repeating: Model.dirty, count: 1 << maximum)
    for order in stride(from: maximum, through: 0, by: -1) {
      var start = 0
      while start + 1 << order <= states.count {
        if memcmp(states.baseAddress! + start, pattern, 1 << order) == 0 { return order }
        start += 1 << order
      }
    }
    return -1
  }

  func free(_ run: FrameRun, zeroed: Bool) {
    set(run, in: states, to: zeroed ? Model.zeroed : Model.dirty)
    free += run.count.rawValue
    if zeroed { zeroedFrames += run.count.rawValue }
  }
}

struct FrameAllocatorTests {
  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
  func `random allocations and frees agree with a frame-by-frame model`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let geometry = seed % 2 == 0 ? Geometry.small : Geometry.large
    let count = geometry.superpageLevels == 2 ? (1 << 18) * 2 + 700 : 512 * 3 + 77
    let allocator = FrameAllocator(
      geometry: geometry,
      checked: FrameRun(Frame(1 << 18), PageCount(UInt64(count))), zeroed: seed % 3 == 0)
    let model = Model(allocator.frames, zeroed: seed % 3 == 0)
    var held: [FrameRun] = []
    for step in 0..<3000 {
      if step % 40 == 0 {
        let limit = Int.random(in: 0...geometry.maximumOrder, using: &random)
        let expected = min(limit, model.largestDirtyOrder(geometry.maximumOrder))
        let run = allocator.takeDirty(largestOrder: limit)
        #expect(run?.count == (expected < 0 ? nil : PageCount.order(expected)), "step \(step)")
        if let run {
          #expect(run.start.isAligned(toOrder: expected))
          #expect(model.allocate(run, dirty: [run]), "step \(step)")
          held.append(run)
        }
      } else if held.isEmpty || Int.random(in: 0..<100, using: &random) < 55 {
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
        #expect(model.allocate(block.run, dirty: dirty), "step \(step)")
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
        model.free(part, zeroed: zeroed)
      }
      let occupancy = allocator.occupancy
      #expect(occupancy.free.rawValue == model.free, "step \(step)")
      #expect(occupancy.zeroed.rawValue == model.zeroedFrames, "step \(step)")
    }
    // Once all is free again it is whole again.
    for run in held { allocator.free(run, zeroed: false) }
    #expect(allocator.occupancy.free == allocator.frames.count)
    #expect(allocator.largestFreeOrder == geometry.maximumOrder)
  }

  @Test func `zeroed blocks come first, dirty superpages before zeroed base pages`() throws {
    let allocator = FrameAllocator(
      geometry: .small, checked: FrameRun(Frame(0), PageCount(512 * 4)), zeroed: false)
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

  @Test func `a block of both kinds comes with its dirty parts`() throws {
    let allocator = FrameAllocator(
      geometry: .small, checked: FrameRun(Frame(0), PageCount(1 << 18)), zeroed: true)
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

  @Test func `a given frame is allocated only while it is free`() {
    let allocator = FrameAllocator(
      geometry: .small, checked: FrameRun(Frame(0), PageCount(5000)), zeroed: true)
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
        geometry: .small, checked: FrameRun(Frame(0), PageCount(5000)), zeroed: true)
      var dirty: [FrameRun] = []
      let run = allocator.allocate(order: 3, dirty: &dirty)!.run
      allocator.free(run, zeroed: true)
      allocator.free(FrameRun(run.start + .one, .one), zeroed: true)
    }
  }

  @Test func `freeing a foreign frame traps`() async {
    await #expect(processExitsWith: .failure) {
      let allocator = FrameAllocator(
        geometry: .small, checked: FrameRun(Frame(0), PageCount(5000)), zeroed: true)
      allocator.free(FrameRun(Frame(5000), .one), zeroed: true)
    }
  }

  @Test func `metadata stay under a thousandth of the memory when it is completely fragmented`() {
    let allocator = FrameAllocator(
      geometry: .small, checked: FrameRun(Frame(0), PageCount(1 << 18)), zeroed: false)
    for index in 0..<UInt64(1 << 18) where index % 2 == 0 {
      _ = allocator.allocate(Frame(index))
    }
    #expect(allocator.metadata.rawValue * 1000 < ByteCount.gibibytes(1).rawValue)
  }
}
