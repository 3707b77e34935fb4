internal import CHoldfastLinux
internal import HoldfastCore
internal import Synchronization

/// The work of a scrubber's threads, and what they share.
final class ScrubWork: Sendable {
  /// The bytes zeroed between two checks of whether to stop: some ten microseconds of work.
  private static let piece = ByteCount.kibibytes(256)
  /// How long a thread takes no frames after an allocation has called some back, a sign of
  /// shortage.
  private static let retreat = Duration.milliseconds(10)
  /// With a rate, a block is no larger than the bytes that may be zeroed in this time.
  private static let held = Duration.milliseconds(100)

  private let memory: PhysicalMemory
  private let rate: ByteCount?
  /// The order of the largest blocks that are taken.
  private let largestOrder: Int
  private var scrubbing: ScrubbingFrames { memory.allocator.scrubbing }

  private let isStopped = Atomic<Bool>(false)
  private let isPaused: Atomic<Bool>

  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var state = State()
  /// Announced when a block is done, a thread ends, or the pause ends.
  private let changed = Event()

  private struct State {
    /// Threads that may have frames.
    var working = 0
    /// Blocks taken so far.
    var turns: UInt64 = 0
    /// Threads that have ended.
    var ended = 0
    /// The threads that have started and not ended.
    var threads: Set<Int32> = []
    /// Threads whose priority was raised since they last lowered it.
    var raised: Set<Int32> = []
    var beingZeroed = ByteCount.zero
    var scrubbed = ByteCount.zero
    var busy = Duration.zero
    /// The time at which the rate allows the next piece.
    var next = Instant.now
    var priority: Scrubber.Priority?
    var priorityProblem: String?
  }

  init(memory: PhysicalMemory, rate: ByteCount?, isPaused: Bool) {
    self.memory = memory
    self.rate = rate
    self.isPaused = Atomic(isPaused)
    let geometry = memory.geometry
    var order = geometry.maximumOrder
    if let rate {
      let most = rate.rawValue / UInt64(Duration.seconds(1) / Self.held)
      while order > 0, geometry.bytes(.order(order)).rawValue > most { order -= 1 }
    }
    largestOrder = order
  }

  private var mayWork: Bool {
    !isStopped.load(ordering: .sequentiallyConsistent)
      && !isPaused.load(ordering: .sequentiallyConsistent)
  }

  // MARK: The threads

  /// The body of a thread.
  func run() {
    let thread = hf_thread_id()
    let (priority, problem) = Scrubber.lowerPriority()
    let boost = scrubbing.addPriorityBoost { [weak self] in self?.raise(thread) }
    lock.withLock {
      unsafe state.threads.insert(thread)
      if unsafe state.priority == nil || problem != nil { unsafe state.priority = priority }
      if let problem { unsafe state.priorityProblem = problem }
    }
    while !isStopped.load(ordering: .sequentiallyConsistent) {
      if isPaused.load(ordering: .sequentiallyConsistent) { waitForResume() } else { turn() }
      if lock.withLock({ unsafe state.raised.remove(thread) }) != nil {
        _ = Scrubber.lowerPriority()
      }
    }
    scrubbing.removePriorityBoost(boost)
    lock.withLock {
      unsafe state.threads.remove(thread)
      unsafe state.ended += 1
    }
    changed.announce()
  }

  /// Gives a thread on which another one waits the default priority until it has freed its frames,
  /// if the host allows. The lock keeps the thread from ending meanwhile, and its number from being
  /// reused.
  private func raise(_ thread: Int32) {
    lock.withLock {
      guard unsafe state.threads.contains(thread), unsafe state.working > 0,
        hf_thread_set_ordinary(thread) >= 0
      else { return }
      unsafe state.raised.insert(thread)
    }
  }

  private func waitForResume() {
    let ticket = changed.ticket()
    if !mayWork, !isStopped.load(ordering: .sequentiallyConsistent) { changed.wait(since: ticket) }
  }

  /// Zeroes one block, or waits for one.
  private func turn() {
    let mark = scrubbing.dirtyFrees
    guard scrubbing.begin() else {
      scrubbing.sleep(Self.retreat) { !mayWork }
      return
    }
    lock.withLock { unsafe state.working += 1 }
    // Checked after `working` counts this thread, for which `pause` waits from now on.
    let run = mayWork ? memory.allocator.takeDirty(largestOrder: largestOrder) : nil
    if let run { scrub(run) }
    let wasReclaimed = scrubbing.isReclaimRequested
    scrubbing.end()
    lock.withLock { unsafe state.working -= 1 }
    changed.announce()
    if run == nil {
      scrubbing.waitForDirtyFrames(since: mark) { !mayWork }
    } else if wasReclaimed {
      scrubbing.sleep(Self.retreat) { !mayWork }
    }
  }

  /// Zeroes a block, or a part of it if it is called back, and frees all of it.
  private func scrub(_ run: FrameRun) {
    let geometry = memory.geometry
    let length = geometry.bytes(run.count)
    lock.withLock {
      unsafe state.turns += 1
      unsafe state.beingZeroed += length
    }
    var busy = Duration.zero
    var done = ByteCount.zero
    while done < length {
      let part = min(Self.piece, length - done)
      guard mayWork, !scrubbing.isReclaimRequested, waitForTurn(part) else { break }
      let start = Instant.now
      memory.store.zero(run.start, offset: done, count: part)
      busy += Instant.now - start
      done += part
    }
    let zeroed = PageCount(done.rawValue / geometry.pageSize.rawValue)
    if zeroed > .zero { memory.allocator.free(FrameRun(run.start, zeroed), zeroed: true) }
    if zeroed < run.count {
      memory.allocator.free(FrameRun(run.start + zeroed, run.count - zeroed), zeroed: false)
    }
    let spent = busy
    lock.withLock {
      unsafe state.beingZeroed -= length
      unsafe state.scrubbed += geometry.bytes(zeroed)
      unsafe state.busy += spent
    }
  }

  /// Waits until the rate allows a piece.
  ///
  /// - Returns: false if the work has to stop meanwhile.
  private func waitForTurn(_ part: ByteCount) -> Bool {
    guard let rate else { return true }
    let start = lock.withLock {
      let start = unsafe max(state.next, Instant.now)
      unsafe state.next = start + .seconds(Double(part.rawValue) / Double(rate.rawValue))
      return start
    }
    while Instant.now < start {
      guard mayWork, !scrubbing.isReclaimRequested else { return false }
      scrubbing.sleep(start - Instant.now) { !mayWork || scrubbing.isReclaimRequested }
    }
    return true
  }

  private func raiseAll() {
    for thread in lock.withLock({ unsafe state.threads }) { raise(thread) }
  }

  // MARK: The owner

  /// Tells the threads to end.
  ///
  /// - Returns: whether this was the first call.
  @discardableResult
  func stop() -> Bool {
    let isFirst = !isStopped.exchange(true, ordering: .sequentiallyConsistent)
    changed.announce()
    scrubbing.wake()
    raiseAll()
    return isFirst
  }

  func pause() {
    isPaused.store(true, ordering: .sequentiallyConsistent)
    scrubbing.wake()
    raiseAll()
    wait(until: { unsafe state.working == 0 })
  }

  func resume() {
    isPaused.store(false, ordering: .sequentiallyConsistent)
    changed.announce()
  }

  func waitUntilEnded(_ threads: Int) {
    wait(until: { unsafe state.ended == threads })
  }

  /// Waits until a condition holds, which is checked with the lock held.
  private func wait(until condition: () -> Bool) {
    while true {
      let ticket = changed.ticket()
      if lock.withLock(condition) { return }
      changed.wait(since: ticket)
    }
  }

  func waitUntilZeroed(_ limit: Duration) -> Bool {
    let end = Instant.now + limit.bounded
    while true {
      let ticket = changed.ticket()
      let before = lock.withLock { unsafe (state.working, state.turns) }
      let occupancy = memory.allocator.occupancy
      let after = lock.withLock { unsafe (state.working, state.turns) }
      // No thread took frames while they were counted.
      if before == after, before.0 == 0, occupancy.free == occupancy.zeroed { return true }
      let left = end - Instant.now
      if left <= .zero || isStopped.load(ordering: .sequentiallyConsistent) { return false }
      // Allocations can take the last dirty frames too, without an announcement: look again.
      _ = changed.wait(since: ticket, atMost: min(left, .milliseconds(20)))
    }
  }

  func statistics(threads: Int) -> Scrubber.Statistics {
    let occupancy = memory.allocator.occupancy
    let state = lock.withLock { unsafe self.state }
    return Scrubber.Statistics(
      scrubbed: state.scrubbed, busy: state.busy, free: memory.geometry.bytes(occupancy.free),
      zeroed: memory.geometry.bytes(occupancy.zeroed), beingZeroed: state.beingZeroed,
      callbacks: scrubbing.reclaims, isPaused: isPaused.load(ordering: .relaxed), threads: threads,
      priority: state.priority, priorityProblem: state.priorityProblem)
  }
}
