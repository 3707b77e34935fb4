// Contiguous free frames of any length, for guests whose frames must be as contiguous as their
// addresses.

extension Buddy {
  /// Whether every frame of a superpage block is free, or the first `count` of them.
  private func isFree(superpage: Int, count: Int) -> Bool {
    let free = freeCount(ofSuperpage: superpage)
    if free == 512 { return true }
    guard free >= count, let leaf = leaf(superpage) else { return false }
    return nodes[leaf].free.containsAll(0..<count)
  }

  /// The number of free frames from `position` on, the start of a superpage block, up to `limit`.
  /// It counts whole superpage blocks, except for the last one.
  func freeLength(from position: Int, limit: Int) -> Int {
    var length = 0
    while length < limit {
      let here = position + length
      guard here < frameCount else { return length }
      if here & ((1 << blockOrder) - 1) == 0, limit - length >= 1 << blockOrder,
        freeBlocks.contains(here >> blockOrder)
      {
        length += 1 << blockOrder
        continue
      }
      guard levels > 0 else { return length }
      let count = min(512, limit - length)
      guard isFree(superpage: here >> Geometry.levelShift, count: count) else { return length }
      length += count
    }
    return length
  }
}

extension FrameDomain {
  /// The first multiple of `alignment` frames from which `count` frames are free.
  ///
  /// - Complexity: O(blocks). Takes the domain's lock.
  func findFree(_ count: PageCount, alignment: PageCount) -> Frame? {
    let step = alignment.rawValue
    var start = (frames.start.rawValue + step - 1) / step * step
    while start < frames.end.rawValue, frames.end.rawValue - start >= count.rawValue {
      let length = freeLength(from: Frame(start), limit: count)
      if length >= count { return Frame(start) }
      start = (start + length.rawValue + step) / step * step
    }
    return nil
  }
}

extension FrameAllocator {
  /// Allocates contiguous frames (FreeBSD: `vm_phys_alloc_contig`), aligned to the largest block
  /// where possible, otherwise to a superpage of level 1.
  ///
  /// - Parameter dirty: gets the runs that are not known to be zero.
  /// - Returns: the frames, or nil where no domain that the policy allows has so many.
  /// - Complexity: O(blocks). Takes the domains' locks one after the other.
  func allocateContiguous(_ count: PageCount, dirty: inout [FrameRun]) -> FrameRun? {
    for order in [geometry.maximumOrder, min(geometry.maximumOrder, Geometry.levelShift)] {
      for domain in domains where policy.allows(domain.node) {
        guard let start = domain.findFree(count, alignment: .order(order)) else { continue }
        let run = FrameRun(start, count)
        // Another thread may have allocated a part meanwhile; then the next alignment is tried.
        if allocate(run, dirty: &dirty) { return run }
      }
    }
    return nil
  }

  /// Allocates all of a run, or nothing.
  ///
  /// - Returns: whether it was allocated.
  /// - Complexity: O(blocks of the run · levels).
  func allocate(_ wanted: FrameRun, dirty: inout [FrameRun]) -> Bool {
    let before = dirty.count
    var taken: [Allocation] = []
    var next = wanted.start
    while next < wanted.end {
      let fit = geometry.largestOrder(at: next, limit: wanted.end - next)
      let order = fit / Geometry.levelShift * Geometry.levelShift
      guard let block = allocate(next, order: order, dirty: &dirty) else {
        dirty.removeSubrange(before...)
        for block in taken { free(block.run, zeroed: block.isZeroed) }
        return false
      }
      taken.append(block)
      next = block.run.end
    }
    return true
  }
}
