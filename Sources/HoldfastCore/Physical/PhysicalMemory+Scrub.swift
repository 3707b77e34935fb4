extension PhysicalMemory {
  /// Zeroes every free dirty frame, now, on all threads of the store, as a scrubber does in the
  /// background. No allocation fails because of it; one that needs the frames waits, possibly until
  /// up to 4 GiB have been zeroed (see `ScrubbingFrames`).
  ///
  /// - Returns: the number of frames that were zeroed.
  /// - Complexity: O(dirty frames). Holds no lock while it zeroes.
  @discardableResult
  package func zeroFreeFrames() -> PageCount {
    let scrubbing = allocator.scrubbing
    var total = PageCount.zero
    while true {
      guard scrubbing.begin() else {
        scrubbing.sleep(.milliseconds(1)) { false }
        continue
      }
      var runs: [FrameRun] = []
      var count = PageCount.zero
      // Enough to keep all threads busy, and no more: an allocation may have to wait for all of it.
      while geometry.bytes(count) < .gibibytes(4),
        let run = allocator.takeDirty(largestOrder: geometry.maximumOrder)
      {
        runs.append(run)
        count += run.count
      }
      if !runs.isEmpty { store.zero(runs) }
      for run in runs { allocator.free(run, zeroed: true) }
      scrubbing.end()
      if runs.isEmpty { return total }
      total += count
    }
  }

  /// Marks every free frame as dirty, whatever it contains, for measurements that must start so. An
  /// allocation by another thread fails meanwhile.
  package func forgetZeroedFrames() {
    reservations.breakAll()
    // All of the memory, not only what the policy allows.
    let allocator = allocator.withPolicy(.firstTouch)
    var runs: [FrameRun] = []
    var dirty: [FrameRun] = []
    while let block = allocator.allocateLargest(order: geometry.maximumOrder, dirty: &dirty) {
      runs.append(block.run)
    }
    for run in runs { allocator.free(run, zeroed: false) }
  }

  /// See `FrameAllocator.checkZeroed`.
  package func checkZeroed() { allocator.checkZeroed(store) }
}
