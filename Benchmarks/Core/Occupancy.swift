import HoldfastCore

/// An allocator of 64 GiB that is taken up to a share, all over and in pieces of every size, with
/// blocks of one order held that are given back and taken again.
struct OccupiedAllocator {
  static let gibibytes: UInt64 = 64

  let allocator: FrameAllocator
  private var held: [FrameRun] = []
  private var dirty: [FrameRun] = []
  private var random: UInt64

  /// - Parameters:
  ///   - percent: how much is taken at least. Of the whole superpages that are left free at each level
  ///     half are broken up in the same way.
  ///   - order: that of the blocks to work with. There is one at least.
  init(percent: UInt64, order: Int) {
    random = percent &* 977 &+ UInt64(order)
    allocator = FrameAllocator(
      geometry: .small,
      frames: FrameRun(Frame(0), PageCount(OccupiedAllocator.gibibytes << 18)), zeroed: true)
    _ = allocator.allocateLargest(order: 18, dirty: &dirty).map { _ in }
    var rest: [FrameRun] = []
    // The first block is never given back, so that all of memory is taken at the start.
    while let block = allocator.allocateLargest(order: 18, dirty: &dirty) { rest.append(block.run) }
    // One of each size is always there.
    let spare = rest.removeLast()
    allocator.free(FrameRun(spare.start, .order(17)), zeroed: true)
    if order == 18 { allocator.free(FrameRun(spare.start + .order(17), .order(17)), zeroed: false) }
    for block in rest { release(block, level: 2, percent) }
    take(order)
  }

  /// Frees a block or a part of it.
  private mutating func release(_ block: FrameRun, level: Int, _ percent: UInt64) {
    if below(100) < percent { return }
    if level == 0 || below(2) == 0 {
      allocator.free(block, zeroed: below(2) == 0)
      return
    }
    let order = (level - 1) * Geometry.levelShift
    for part in 0..<UInt64(512) {
      let start = block.start + PageCount(part << UInt64(order))
      release(FrameRun(start, .order(order)), level: level - 1, percent)
    }
  }

  /// Takes up to 1024 blocks of the order, but not the last one, and gives that many back in turn.
  private mutating func take(_ order: Int) {
    while held.count < 1024, let block = allocator.allocate(order: order, dirty: &dirty) {
      held.append(block.run)
    }
    precondition(!held.isEmpty, "no block of the order is free")
    // Half stay free, so that a block is searched for and not just found again.
    for run in held.dropFirst((held.count + 1) / 2) { allocator.free(run, zeroed: true) }
    held.removeSubrange(((held.count + 1) / 2)...)
  }

  private mutating func below(_ bound: UInt64) -> UInt64 {
    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (random >> 33) % bound
  }

  /// Gives a block back, by chance zeroed or dirty, and takes another one.
  mutating func step(_ order: Int) {
    let place = Int(below(UInt64(held.count)))
    allocator.free(held[place], zeroed: below(2) == 0)
    dirty.removeAll(keepingCapacity: true)
    guard let block = allocator.allocate(order: order, dirty: &dirty) else {
      preconditionFailure("a block that was given back is gone")
    }
    held[place] = block.run
  }
}
