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
    while budget >= Double(1 << DirtyFrames.smallestOrder) {
      let order = min(allocator.geometry.maximumOrder, Int(budget).leadingPower)
      guard let run = dirty.take(largestOrder: order) else {
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

extension Int {
  /// The exponent of the largest power of two that is no larger. The number is not 0.
  fileprivate var leadingPower: Int { 63 - leadingZeroBitCount }
}

/// Finds dirty free superpages by means of allocation alone: zeroed ones, which come first, are held
/// until the end. That costs a step for every free block, so it is not done at every event, and
/// smaller blocks are left as they are.
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
