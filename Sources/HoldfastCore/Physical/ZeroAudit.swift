internal import Synchronization

/// A check for debugging: reads every frame that is freed or allocated as zeroed.
///
/// Its lock is a leaf, and is not held while frames are read.
final class ZeroAudit: Sendable {
  private let isOn = Atomic<Bool>(false)
  private let lock = Lock()
  /// Protected by `lock`. Weak, since a store may own the allocator.
  private nonisolated(unsafe) weak var store: (any FrameStore)?

  /// Reads frames of a store from now on.
  func start(_ store: any FrameStore) {
    lock.withLock { unsafe self.store = store }
    isOn.store(true, ordering: .relaxed)
  }

  /// Traps unless all of the run but its dirty parts, which are in ascending order, is zero. Called
  /// without a domain's lock, but with whatever else the allocation's caller holds; no other thread
  /// uses the frames.
  @inline(__always)
  func check(_ run: FrameRun, except dirty: ArraySlice<FrameRun> = [], _ reason: String) {
    if isOn.load(ordering: .relaxed) { look(run, dirty, reason) }
  }

  private func look(_ run: FrameRun, _ dirty: ArraySlice<FrameRun>, _ reason: String) {
    guard let store = lock.withLock({ unsafe self.store }) else { return }
    var start = run.start
    for part in dirty + [FrameRun(run.end, .zero)] {
      let clean = FrameRun(start, part.start - start)
      start = part.end
      if clean.count == .zero || store.isZero(clean) { continue }
      var frame = clean.start
      while frame < clean.end, store.isZero(FrameRun(frame, .one)) { frame = frame + .one }
      fatalError("frame \(frame.rawValue) is \(reason) as zeroed but is not zero")
    }
  }
}

extension FrameAllocator {
  /// From now on reads every frame that is freed or allocated as zeroed, and traps on one that is
  /// not zero, with its number. For debugging: it makes the allocator as slow as its memory.
  ///
  /// - Parameter store: the frames' bytes; not retained.
  package func checkZeroed(_ store: any FrameStore) { audit.start(store) }
}
