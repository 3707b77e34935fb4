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

  /// Zeroes what there was time for until now, the largest blocks first. A budget that found nothing to
  /// do is lost.
  ///
  /// Fragments of superpages are left dirty for a reason: base pages go to zeroed frames first, and would
  /// fill the holes that others left all over again, so that hardly any 1 GiB block came together any
  /// more.
  mutating func run(until now: Double) {
    guard rate > 0, now > time else { return }
    budget = min(
      budget + (now - time) * rate, Double(allocator.frames.count.rawValue))
    time = now
    // Whole blocks, as far as the last one that is begun: to zero a part only would split it.
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
