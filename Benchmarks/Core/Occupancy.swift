import HoldfastCore

/// An allocator of 64 GiB that is taken to a share at least, all over and in pieces of every size,
/// with blocks of one order held that are given back and taken again.
///
/// It is made once for each share and order: that takes longer than the measurement.
final class OccupiedAllocator {
  private let allocator: FrameAllocator
  private let order: Int
  private var held: [FrameRun] = []
  private var dirty: [FrameRun] = []
  private var random: UInt64

  /// - Parameters:
  ///   - percent: how much is taken at least. Half of the superpages that are left free at each level
  ///     are broken up in the same way.
  ///   - order: that of the blocks to work with. One of them is free at least.
  init(percent: UInt64, order: Int) {
    self.order = order
    random = percent &* 977 &+ UInt64(order)
    allocator = FrameAllocator(
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
    // Half of them go back, so that a block is searched for and not just found again.
    for run in held.dropFirst((held.count + 1) / 2) { allocator.free(run, zeroed: true) }
    held.removeSubrange(((held.count + 1) / 2)...)
  }

  /// Frees a block or a part of it, by chance.
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

  /// Gives a block back, by chance as zeroed or as dirty, and takes another one.
  func step() {
    let place = Int(below(UInt64(held.count)))
    allocator.free(held[place], zeroed: below(2) == 0)
    dirty.removeAll(keepingCapacity: true)
    guard let block = allocator.allocate(order: order, dirty: &dirty) else {
      preconditionFailure("a block that was given back is gone")
    }
    held[place] = block.run
  }
}
