internal import Synchronization

/// The free frames that are being zeroed in the background (by a `Scrubber`), which allocations can
/// reclaim: frames being zeroed count as available, so no allocation fails because of them.
///
/// A scrubbing thread brackets each block: `begin`, `FrameAllocator.takeDirty`, zero it piece by
/// piece while `isReclaimRequested` is false, free the zeroed part as zeroed and the rest as dirty,
/// `end`. Meanwhile it holds no lock under which frames are allocated, and needs only the
/// allocator's lock to free the block.
///
/// An allocation that would get less than it asks for, while a block is being zeroed or was freed
/// since the allocation began to look, *reclaims*: `begin` refuses from then on, the allocation
/// waits until no block is being zeroed, and looks once more. It then sees the memory as if nothing
/// had been zeroed. Meanwhile its callers' locks stay held: those of the objects of a chain, the
/// address space's (shared in a fault, exclusive in a fork), or `Arena.resizing` in `Arena.shrink`.
///
/// A scrubber's thread stops within one piece (256 KiB). `PhysicalMemory.zeroFreeFrames` does not:
/// it finishes up to 4 GiB. Where all processors are busy, a thread of idle priority may not run
/// for a while. So an allocation that has waited for `boostDelay` asks for higher priority
/// (`addPriorityBoost`), and one that would get a smaller block waits no longer than `timeout`
/// after that, about 21 ms in all. One that would fail waits until the frames are free.
///
/// Its lock is a leaf: no other lock is taken under it, and it is not held during a wait.
package final class ScrubbingFrames: Sendable {
  /// How long an allocation that would get a smaller block waits after it asked for higher
  /// priority. Long against the zeroing of a piece, as is `boostDelay`.
  static let timeout = Duration.milliseconds(20)
  /// How long an allocation waits before it asks for higher priority.
  static let boostDelay = Duration.milliseconds(1)

  private let lock = Lock()
  // Protected by `lock`.
  /// The blocks that are being zeroed.
  private nonisolated(unsafe) var active = 0
  /// The allocations that are reclaiming.
  private nonisolated(unsafe) var reclaimers = 0
  /// An allocation has waited for `timeout`, and no block was freed since.
  private nonisolated(unsafe) var hasTimedOut = false
  private nonisolated(unsafe) var reclaimCount: UInt64 = 0
  private nonisolated(unsafe) var boosts: [Int: @Sendable () -> Void] = [:]
  private nonisolated(unsafe) var boostCount = 0

  /// The blocks that were freed so far, times 2^16, plus those that are being zeroed. Written under
  /// `lock`.
  private let history = Atomic<UInt64>(0)
  private let reclaimRequested = Atomic<Bool>(false)
  /// Announced when the last block that was being zeroed is freed while an allocation reclaims.
  private let idle = Event()

  /// Counts the calls that freed dirty frames.
  private let dirtyFreeCount = Atomic<UInt64>(0)
  /// A thread waits for dirty frames.
  private let isAwaited = Atomic<Bool>(false)
  /// Announced when dirty frames are freed while a thread waits for them, and by `wake`.
  private let wakeup = Event()

  init() {}

  // MARK: Scrubbing threads

  /// Announces that the calling thread is about to take a block. Returns false while an allocation
  /// reclaims: the thread may take no frames then, and does not call `end`.
  package func begin() -> Bool {
    lock.withLock {
      guard unsafe reclaimers == 0 else { return false }
      unsafe active += 1
      history.wrappingAdd(1, ordering: .sequentiallyConsistent)
      return true
    }
  }

  /// Ends what `begin` began: the block was freed, or no block was taken.
  package func end() {
    let isIdle = lock.withLock {
      unsafe precondition(active > 0, "scrubbing ends that never began")
      unsafe active -= 1
      unsafe hasTimedOut = false
      history.wrappingAdd((1 << 16) - 1, ordering: .sequentiallyConsistent)
      return unsafe active == 0 && reclaimers > 0
    }
    if isIdle { idle.announce() }
  }

  /// Registers a function that raises the priority of a scrubbing thread. It is called on any
  /// thread, without a lock of this class, when an allocation has waited for longer than a piece
  /// takes to zero.
  ///
  /// - Returns: the number that `removePriorityBoost` takes.
  package func addPriorityBoost(_ body: @escaping @Sendable () -> Void) -> Int {
    lock.withLock {
      unsafe boostCount += 1
      unsafe boosts[boostCount] = body
      return unsafe boostCount
    }
  }

  /// Removes a function that `addPriorityBoost` registered. A call that has begun may still finish.
  package func removePriorityBoost(_ number: Int) {
    lock.withLock { unsafe boosts[number] = nil }
  }

  /// Whether blocks must be freed at once, because an allocation waits for them. Takes no lock;
  /// cheap enough to ask before each piece.
  package var isReclaimRequested: Bool { reclaimRequested.load(ordering: .relaxed) }

  /// How many allocations have reclaimed frames so far.
  package var reclaims: UInt64 { lock.withLock { unsafe reclaimCount } }

  /// How often dirty frames were freed so far. A thread reads it before it looks for dirty frames,
  /// and passes it to `waitForDirtyFrames` when it found none.
  package var dirtyFrees: UInt64 { dirtyFreeCount.load(ordering: .sequentiallyConsistent) }

  /// Returns once dirty frames were freed after `dirtyFrees` was read as `count`, or `wake` was
  /// called; at once where `isOver` returns true.
  package func waitForDirtyFrames(since count: UInt64, unless isOver: () -> Bool) {
    let ticket = wakeup.ticket()
    isAwaited.store(true, ordering: .sequentiallyConsistent)
    if dirtyFrees != count || isOver() { return }
    wakeup.wait(since: ticket)
  }

  /// Returns after `time`, or when `wake` is called; at once where `isOver` returns true. May
  /// return early when frames are freed or reclaimed.
  package func sleep(_ time: Duration, unless isOver: () -> Bool) {
    let ticket = wakeup.ticket()
    if isOver() { return }
    _ = wakeup.wait(since: ticket, atMost: time)
  }

  /// Wakes all threads in `waitForDirtyFrames` and `sleep`.
  package func wake() { wakeup.announce() }

  // MARK: The allocator

  /// The moment that `wasActive` compares with, read before the allocator's lock is taken.
  var mark: UInt64 { history.load(ordering: .sequentiallyConsistent) }

  /// Whether a block may have been in the hands of a scrubbing thread since `mark` was read. Called
  /// with the allocator's lock held, after the free blocks were searched.
  func wasActive(since mark: UInt64) -> Bool {
    let now = self.mark
    return now != mark || now & 0xFFFF != 0
  }

  /// Calls `body` once no block is being zeroed, or after the timeout, and lets no thread begin
  /// another until it returns.
  ///
  /// - Parameter hasTimeout: whether to give up after `boostDelay` and `timeout`.
  func reclaim<Result>(hasTimeout: Bool, _ body: () -> Result) -> Result {
    lock.lock()
    unsafe reclaimers += 1
    unsafe reclaimCount += 1
    reclaimRequested.store(true, ordering: .relaxed)
    var limit = Self.boostDelay
    while unsafe active > 0, unsafe !(hasTimeout && hasTimedOut) {
      let ticket = idle.ticket()
      let boosts = unsafe limit == Self.boostDelay ? [] : Array(self.boosts.values)
      lock.unlock()
      // A thread that sleeps because of its rate limit, with a block taken, must free it.
      wakeup.announce()
      for boost in boosts { boost() }
      let isIdle = idle.wait(since: ticket, atMost: limit)
      lock.lock()
      if !isIdle, unsafe active > 0, limit == Self.timeout { unsafe hasTimedOut = true }
      limit = Self.timeout
    }
    lock.unlock()
    let result = body()
    lock.withLock {
      unsafe reclaimers -= 1
      if unsafe reclaimers == 0 { reclaimRequested.store(false, ordering: .relaxed) }
    }
    return result
  }

  /// Records that dirty frames were freed. Called without the allocator's lock.
  func noteDirtyFree() {
    dirtyFreeCount.wrappingAdd(1, ordering: .sequentiallyConsistent)
    guard isAwaited.load(ordering: .sequentiallyConsistent),
      isAwaited.exchange(false, ordering: .sequentiallyConsistent)
    else { return }
    wakeup.announce()
  }
}
