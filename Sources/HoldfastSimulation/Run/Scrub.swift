internal import HoldfastCore

/// The background zeroing of free frames, as far as a rate lets it come in the simulated time.
struct Scrub {
  private let allocator: FrameAllocator
  /// Pages in a second of simulated time.
  private let rate: Double
  private var budget = 0.0
  /// Up to when time was given to it.
  private var time = 0.0
  private(set) var scrubbed = PageCount.zero

  init(_ allocator: FrameAllocator, rate: ByteCount) {
    self.allocator = allocator
    self.rate = Double(rate.rawValue) / Double(allocator.geometry.pageSize.rawValue)
  }

  /// Zeroes what there was time for until now. A budget that found nothing to do is lost.
  mutating func run(until now: Double) {
    guard rate > 0, now - time >= DirtyFrames.interval else { return }
    budget = min(
      budget + (now - time) * rate, Double(allocator.frames.count.rawValue))
    time = now
    let occupancy = allocator.occupancy
    if occupancy.free == occupancy.zeroed {
      budget = 0
      return
    }
    var dirty = DirtyFrames(allocator)
    // Whole blocks, as far as the last one that is begun: to zero a part only would split it.
    while budget > 0 {
      guard let run = dirty.take(largestOrder: allocator.geometry.maximumOrder) else {
        budget = 0
        break
      }
      allocator.free(run, zeroed: true)
      scrubbed += run.count
      budget -= Double(run.count.rawValue)
    }
    dirty.giveBack()
  }
}

/// Finds dirty free superpages by means of allocation alone: zeroed ones, which come first, are held
/// until the end. That costs a step for every free block, so it is not done at every event.
///
/// Smaller blocks are left dirty for a reason: base pages go to zeroed frames first, and would fill the
/// holes that others left all over again, so that hardly any 1 GiB block came together any more.
struct DirtyFrames {
  /// How many simulated seconds there are between two searches.
  static let interval = 300.0
  static let smallestOrder = Geometry.levelShift

  private let allocator: FrameAllocator
  private var held: [FrameRun] = []

  init(_ allocator: FrameAllocator) {
    self.allocator = allocator
  }

  /// Allocates the largest dirty block that there is, of at most an order.
  mutating func take(largestOrder: Int) -> FrameRun? {
    var dirty: [FrameRun] = []
    for order in stride(from: largestOrder, through: DirtyFrames.smallestOrder, by: -1) {
      while let block = allocator.allocate(order: order, dirty: &dirty) {
        if !block.isZeroed { return block.run }
        held.append(block.run)
      }
    }
    return nil
  }

  mutating func giveBack() {
    for run in held { allocator.free(run, zeroed: true) }
    held = []
  }
}
