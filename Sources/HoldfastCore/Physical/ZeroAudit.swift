internal import Synchronization

/// A check for debugging: all that is freed or handed out as zeroed is looked at, byte by byte.
final class ZeroAudit: Sendable {
  private let isOn = Atomic<Bool>(false)
  private let lock = Lock()
  /// Protected by `lock`. Weak, since a store may own the allocator.
  private nonisolated(unsafe) weak var store: (any FrameStore)?

  func start(_ store: any FrameStore) {
    lock.withLock { unsafe self.store = store }
    isOn.store(true, ordering: .relaxed)
  }

  /// Traps unless all of the run but its dirty parts, which are in ascending order, is zero. Called
  /// without locks that others may hold while they wait; nobody else has the frames.
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
      fatalError("frame \(frame.rawValue) is \(reason) as zeroed and is not zero")
    }
  }
}

extension FrameAllocator {
  /// From now on every frame that is freed as zeroed or handed out as zeroed is read and checked; one
  /// that is not zero is a broken invariant and traps, with its number. For debugging: it makes the
  /// allocator as slow as its memory.
  ///
  /// - Parameter store: the frames' bytes; not kept alive.
  public func checkZeroed(_ store: any FrameStore) { audit.start(store) }
}
