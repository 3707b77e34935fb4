internal import HoldfastCore

/// The background zeroing of free frames, at a rate in simulated time.
struct Scrub {
  private let allocator: FrameAllocator
  /// Pages for each second of simulated time.
  private let rate: Double
  private var budget = 0.0
  /// The simulated time of the last run.
  private var time = 0.0
  private(set) var scrubbed = PageCount.zero

  init(_ allocator: FrameAllocator, rate: ByteCount) {
    self.allocator = allocator
    self.rate = Double(rate.rawValue) / Double(allocator.geometry.pageSize.rawValue)
  }

  /// Zeroes as many frames as the rate allows until now, the largest blocks first. Time without
  /// dirty frames is lost.
  ///
  /// Fragments of superpages stay dirty: allocations of base pages prefer zeroed frames, and would
  /// fill the holes that others left, so that 1 GiB blocks would hardly ever merge again.
  mutating func run(until now: Double) {
    guard rate > 0, now > time else { return }
    budget = min(
      budget + (now - time) * rate, Double(allocator.frames.count.rawValue))
    time = now
    // Whole blocks, also where the last one exceeds the budget: zeroing a part would split it.
    while budget > 0 {
      guard let run = allocator.takeDirty(largestOrder: allocator.geometry.maximumOrder) else {
        budget = 0
        return
      }
      guard run.count >= .order(Geometry.levelShift) else {
        allocator.free(run, zeroed: false)
        budget = 0
        return
      }
      allocator.free(run, zeroed: true)
      scrubbed += run.count
      budget -= Double(run.count.rawValue)
    }
  }
}
