extension PhysicalMemory {
  /// Memory of one guest whose frames follow each other, for a guest that reaches its frames where they
  /// are instead of by translations: the frame of guest address `a` is the first one plus `a`.
  ///
  /// The frames have an allocator of their own. They go back to this memory, all of them as dirty since
  /// the guest could reach them all the time, with the last object that has this memory.
  ///
  /// - Returns: the memory, all of it zero, its first frame, and how much had to be zeroed now; nil where
  ///   so many frames that follow each other are not free. Reservations are broken and memory is
  ///   compacted for it.
  /// - Complexity: O(blocks), and what compacting takes.
  public func placed(_ count: PageCount) -> (
    memory: PhysicalMemory, start: Frame, zeroed: PageCount
  )? {
    var dirty: [FrameRun] = []
    var run = allocator.allocateContiguous(count, dirty: &dirty)
    if run == nil {
      // Frames that are being zeroed in the background are as good as free; so are reserved ones.
      reservations.breakAll()
      run = allocator.loans.callBack(isPatient: true) {
        var found: [FrameRun] = []
        let run = allocator.allocateContiguous(count, dirty: &found)
        dirty += found
        return run
      }
    }
    if run == nil, compact().superpages > 0 {
      run = allocator.allocateContiguous(count, dirty: &dirty)
    }
    guard let run else { return nil }
    // Before anybody knows where it is: the guest can reach all of it, wired or not.
    if !dirty.isEmpty { store.zero(dirty) }
    let zeroed = dirty.reduce(PageCount.zero) { $0 + $1.count }
    let node = allocator.domain(of: run.start).node
    let own = FrameAllocator(
      geometry: geometry, parts: [FrameAllocator.Part(run, node: node)], zeroed: true)
    let state = PhysicalMemoryState(allocator: own, claim: PlacedFrames(run, of: allocator))
    return (PhysicalMemory(allocator: own, store: store, state: state), run.start, zeroed)
  }

  /// Whether frames must lie as guest addresses do. Such memory can be neither forked nor compacted.
  public var isPlaced: Bool { state.claim != nil }
}

/// Frames that are another allocator's as long as this lives.
final class PlacedFrames: Sendable {
  private let run: FrameRun
  private let owner: FrameAllocator

  init(_ run: FrameRun, of owner: FrameAllocator) {
    self.run = run
    self.owner = owner
  }

  deinit {
    owner.free(run, zeroed: false)
  }
}
