extension PhysicalMemory {
  /// Allocates the contiguous frames of one guest that is placed in the arena's own mapping: it
  /// accesses its frames there instead of through a window's translations, so the frame of guest
  /// address `a` is the first one plus `a`.
  ///
  /// The frames have an allocator of their own. They return to this memory with the last object of
  /// the guest's memory, as dirty, because the guest could write to all of them all the time. Where
  /// not enough contiguous frames are free, reservations are broken, frames that are being zeroed
  /// are waited for, and the memory is compacted.
  ///
  /// - Returns: the guest's memory, all of it zero, its first frame, and the number of pages that
  ///   were zeroed now; nil where there are not so many contiguous frames.
  /// - Complexity: O(blocks), plus the cost of compaction.
  package func placed(_ count: PageCount) -> (
    memory: PhysicalMemory, start: Frame, zeroed: PageCount
  )? {
    var dirty: [FrameRun] = []
    var run = allocator.allocateContiguous(count, dirty: &dirty)
    if run == nil {
      // Frames that are being zeroed in the background count as free, and so do reserved ones.
      reservations.breakAll()
      run = allocator.scrubbing.reclaim(hasTimeout: false) {
        var found: [FrameRun] = []
        let run = allocator.allocateContiguous(count, dirty: &found)
        dirty += found
        return run
      }
    }
    if run == nil, compact().superpages > 0 {
      run = allocator.allocateContiguous(count, dirty: &dirty)
    }
    return run.map { placed($0, dirty: dirty) }
  }

  /// The same for a caller that would rather do without: waits for nothing, and moves nothing.
  ///
  /// - Complexity: O(blocks).
  package func placedNow(_ count: PageCount) -> (
    memory: PhysicalMemory, start: Frame, zeroed: PageCount
  )? {
    var dirty: [FrameRun] = []
    return allocator.allocateContiguous(count, dirty: &dirty).map { placed($0, dirty: dirty) }
  }

  private func placed(_ run: FrameRun, dirty: [FrameRun]) -> (
    memory: PhysicalMemory, start: Frame, zeroed: PageCount
  ) {
    // Before the guest can access the frames: it reaches all of them, wired or not.
    if !dirty.isEmpty { store.zero(dirty) }
    let zeroed = dirty.reduce(PageCount.zero) { $0 + $1.count }
    let node = allocator.domain(of: run.start).node
    let own = FrameAllocator(
      geometry: geometry, checked: [FrameAllocator.Part(run, node: node)], zeroed: true)
    let state = PhysicalMemoryState(allocator: own, claim: PlacedFrames(run, of: allocator))
    return (PhysicalMemory(allocator: own, store: store, state: state), run.start, zeroed)
  }

  /// Whether this is the memory of a placed guest, which can be neither forked nor compacted.
  package var isPlaced: Bool { state.claim != nil }
}
