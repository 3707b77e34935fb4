internal import HoldfastCore
internal import HoldfastTemplate

/// A clone's use of its template: what it touches, what is read ahead, and the working set
/// that it keeps with the template in the end.
///
/// Safe to use from any thread. Its lock is held while no other is taken.
final class TemplateClone: Sendable {
  let template: Template
  let touches: CloneTouches
  private let options: WorkingSetOptions
  private let granularity: FaultGranularity
  /// The working set that the template had when the clone was made.
  private let workingSet: WorkingSet?
  /// Whether touches were recorded from the start.
  private let records: Bool

  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var prefetch: ClonePrefetch?
  private nonisolated(unsafe) var hasBegun = false
  private nonisolated(unsafe) var hasEnded = false
  /// What `prefetch` had done in the end.
  private nonisolated(unsafe) var result: ClonePrefetch.Progress?

  init(
    _ template: Template, _ geometry: Geometry, pages: PageCount, _ granularity: FaultGranularity,
    _ options: WorkingSetOptions
  ) {
    self.template = template
    self.options = options
    self.granularity = granularity
    let isNeeded = options.recording == .whenMissing || options.prefetching != .off
    workingSet = isNeeded ? template.workingSet() : nil
    let records =
      switch options.recording {
      case .always: true
      case .whenMissing: workingSet == nil
      case .never: false
      }
    let largest = geometry.bytes(PageCount(1 << UInt64(geometry.largePageOrder)))
    touches = CloneTouches(
      pages, geometry, unit: granularity == .largePage ? largest : geometry.pageSize,
      recordingTime: records ? options.recordingTime : nil)
    self.records = records
  }

  /// Begins to read the working set, once. Called without locks.
  func beginPrefetch(_ object: MemoryObject, _ space: AddressSpace) {
    guard options.prefetching != .off, let workingSet, !workingSet.pages.isEmpty else { return }
    let isFirst = lock.withLock {
      defer { unsafe hasBegun = true }
      return unsafe !hasBegun && !hasEnded
    }
    guard isFirst else { return }
    let work = ClonePrefetch(
      workingSet, object, space, touches, isLarge: granularity == .largePage,
      enters: options.prefetching == .entered && !records)
    let isKept = lock.withLock {
      if unsafe hasEnded { return false }
      unsafe prefetch = work
      return true
    }
    if isKept { work.begin(threads: options.threads) }
  }

  /// Waits until all that is to be read ahead has been.
  func waitForPrefetch() { lock.withLock { unsafe prefetch }?.wait() }

  /// Ends the prefetching, and waits for its threads.
  func stopPrefetch() {
    let work = lock.withLock {
      unsafe hasEnded = true
      return unsafe prefetch
    }
    guard let work else { return }
    work.stop()
    let progress = work.progress
    // Only now: the object that the work refers to has the pager, and that refers to this clone.
    lock.withLock {
      unsafe result = progress
      unsafe prefetch = nil
    }
  }

  /// Keeps what was recorded with the template, unless it has a working set that is not to be
  /// replaced.
  ///
  /// - Returns: the working set, or nil where none was kept.
  func keepWorkingSet() throws(HoldfastError) -> WorkingSet? {
    touches.stopRecording()
    guard records else { return nil }
    let set = touches.workingSet
    guard !set.pages.isEmpty else { return nil }
    // Another clone may have recorded at the same time.
    if options.recording == .whenMissing, template.workingSet() != nil { return nil }
    try template.save(set)
    return set
  }

  /// Ends with the guest.
  func end() {
    stopPrefetch()
    // The guest has no caller to report a failure to, and the next clone records again.
    _ = try? keepWorkingSet()
  }

  /// What happened so far.
  func receipt(_ geometry: Geometry) -> CloneReceipt {
    let progress = lock.withLock { unsafe prefetch }?.progress ?? lock.withLock { unsafe result }
    let (met, missed) = touches.counts
    return CloneReceipt(
      template: template.name.text, pageSize: touches.unit,
      wantedBytes: geometry.bytes(progress?.wanted ?? .zero),
      readAheadBytes: geometry.bytes(touches.readAhead), metTouches: met, missedTouches: missed,
      prefetchDuration: progress?.duration ?? .zero, isPrefetching: progress?.isRunning ?? false,
      prefetchProblem: progress?.problem?.reason, recordedTouches: touches.recorded)
  }
}
