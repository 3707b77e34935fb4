extension PhysicalMemory {
  /// Zeroes every free frame that is dirty, now, on all threads of the store: what a scrubber does in
  /// the background. Frames are taken as a loan, so that no allocation fails for it; one that needs
  /// them waits.
  ///
  /// - Returns: how many were zeroed.
  @discardableResult
  public func zeroFreeFrames() -> PageCount {
    let loans = allocator.loans
    var total = PageCount.zero
    while true {
      guard loans.begin() else {
        loans.rest(.milliseconds(1)) { false }
        continue
      }
      var runs: [FrameRun] = []
      var count = PageCount.zero
      // As much as keeps all threads busy, and no more: an allocation may come to wait for it.
      while geometry.bytes(count) < .gibibytes(4),
        let run = allocator.takeDirty(largestOrder: geometry.maximumOrder)
      {
        runs.append(run)
        count += run.count
      }
      if !runs.isEmpty { store.zero(runs) }
      for run in runs { allocator.free(run, zeroed: true) }
      loans.end()
      if runs.isEmpty { return total }
      total += count
    }
  }

  /// Declares every free frame dirty, whatever it holds: for measurements that have to start so.
  /// Frames that are free now cannot be allocated meanwhile.
  package func forgetZeroedFrames() {
    reservations.breakAll()
    // The whole memory's, whatever the policy allows.
    let allocator = allocator.withPolicy(.firstTouch)
    var runs: [FrameRun] = []
    var dirty: [FrameRun] = []
    while let block = allocator.allocateLargest(order: geometry.maximumOrder, dirty: &dirty) {
      runs.append(block.run)
    }
    for run in runs { allocator.free(run, zeroed: false) }
  }

  /// See `FrameAllocator.checkZeroed`.
  public func checkZeroed() { allocator.checkZeroed(store) }
}
