import HoldfastCore

/// An allocator of 64 GiB of which at least a percentage is allocated, everywhere and in pieces of
/// every size. It holds blocks of one order, which a step frees and allocates again.
///
/// Creating it takes longer than the measurement, so there is one for each percentage and order.
final class OccupiedAllocator {
  private let allocator: FrameAllocator
  private let order: Int
  private var held: [FrameRun] = []
  private var dirty: [FrameRun] = []
  private var random: UInt64

  /// - Parameters:
  ///   - percent: the least percentage that is allocated. Half of the superpages that remain free
  ///     at each level are split in the same way.
  ///   - order: the order of the blocks that are freed and allocated. At least one is free.
  init(percent: UInt64, order: Int) throws {
    self.order = order
    random = percent &* 977 &+ UInt64(order)
    allocator = try FrameAllocator(
      geometry: .small, frames: FrameRun(Frame(0), PageCount(64 << 18)), zeroed: true)
    var blocks: [FrameRun] = []
    while let block = allocator.allocateLargest(order: 18, dirty: &dirty) {
      blocks.append(block.run)
    }
    let spare = blocks.removeLast()
    allocator.free(FrameRun(spare.start, .order(order)), zeroed: true)
    for block in blocks { release(block, level: 2, percent) }
    while held.count < 1024, let block = allocator.allocate(order: order, dirty: &dirty) {
      held.append(block.run)
    }
    // Half of them are freed, so that an allocation has to search and does not just get the block
    // that was freed last.
    for run in held.dropFirst((held.count + 1) / 2) { allocator.free(run, zeroed: true) }
    held.removeSubrange(((held.count + 1) / 2)...)
  }

  /// Frees a block, a part of it, or nothing, at random.
  private func release(_ block: FrameRun, level: Int, _ percent: UInt64) {
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

  private func below(_ bound: UInt64) -> UInt64 {
    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (random >> 33) % bound
  }

  /// Frees a block, at random as zeroed or as dirty, and allocates another one.
  func step() {
    let place = Int(below(UInt64(held.count)))
    allocator.free(held[place], zeroed: below(2) == 0)
    dirty.removeAll(keepingCapacity: true)
    guard let block = allocator.allocate(order: order, dirty: &dirty) else {
      preconditionFailure("no block is free after one was freed")
    }
    held[place] = block.run
  }
}
