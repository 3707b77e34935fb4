internal import Glibc
internal import HoldfastCore
internal import SystemPackage

/// The threads of a `FaultHandler` and what they share.
///
/// Under `lock`: at most one thread reads (`isRead`). When it has a fault it serves it itself if another
/// thread is idle, which is not woken for that: a wakeup would cost as much as the fault. Who needs a
/// reader in the meantime asks for one: a fault that is to take long, so that others are served meanwhile
/// (`ensureReader`), and whoever moves a mapping, which lasts until the kernel's word of it is read
/// (`withReader`): until then a reader that goes to serve, perhaps to wait for the same window, wakes
/// the next one. With no thread idle one more is made, and where that may not be, faults are queued and the
/// reader goes on reading. So there is always a thread that reads or can be made to.
final class FaultHandlerThreads: Sendable {
  private let window: PagedWindow
  private let space: AddressSpace
  private let threadLimit: Int
  private let onFailure: FaultHandler.FailureHandler
  private let stopSignal: StopSignal

  private let lock = Lock()
  private let roles = Lock.Condition()
  // Protected by `lock`.
  private nonisolated(unsafe) var threads: [BackgroundThread] = []
  private nonisolated(unsafe) var idle = 0
  /// Threads that were made and have not looked for work yet.
  private nonisolated(unsafe) var starting = 0
  private nonisolated(unsafe) var isRead = false
  /// Faults that are being served.
  private nonisolated(unsafe) var serving = 0
  /// Who cannot go on without a reader.
  private nonisolated(unsafe) var readerWaits = 0
  private nonisolated(unsafe) var isStopping = false
  private nonisolated(unsafe) var isStopped = false
  private nonisolated(unsafe) var queue: [PagingFault.Event] = []
  private nonisolated(unsafe) var counts = FaultStatistics()
  private nonisolated(unsafe) var paused: [FaultFailure] = []
  /// How often all paused touchers were let go.
  private nonisolated(unsafe) var retries: UInt64 = 0

  init(
    window: PagedWindow, space: AddressSpace, threadLimit: Int,
    onFailure: @escaping FaultHandler.FailureHandler
  ) throws(Errno) {
    self.window = window
    self.space = space
    self.threadLimit = threadLimit
    self.onFailure = onFailure
    stopSignal = try StopSignal()
    window.setReader(self)
    do throws(Errno) {
      // One would have nobody to read for it.
      for _ in 0..<2 { try addThread() }
    } catch {
      stop()
      throw error
    }
  }

  var statistics: FaultStatistics { lock.withLock { unsafe counts } }
  var pausedFaults: [FaultFailure] { lock.withLock { unsafe paused } }

  private func addThread() throws(Errno) {
    // With the lock held, so that who stops the threads waits for this one too.
    lock.lock()
    defer { lock.unlock() }
    if unsafe isStopped { return }
    unsafe threads.append(try BackgroundThread("holdfast-fault") { self.run() })
    unsafe starting += 1
    unsafe counts.threads = unsafe threads.count
  }

  func stop() {
    let isFirst = lock.withLock {
      defer { unsafe isStopping = true }
      return unsafe !isStopping
    }
    guard isFirst else { return }
    // With all threads there: what they are at may wait for a reader, and after this for none.
    window.close()
    let ending = lock.withLock {
      unsafe isStopped = true
      roles.broadcast()
      return unsafe threads
    }
    stopSignal.raise()
    for thread in ending {
      // The owner may let go of the last reference in its answer to a failure.
      if thread.isCurrent { thread.detach() } else { thread.join() }
    }
    lock.withLock {
      // Each has this as its work.
      unsafe threads = []
      unsafe paused = []
    }
  }

  func retryPaused() {
    let retried = lock.withLock {
      let all = unsafe paused
      unsafe paused = []
      unsafe retries &+= 1
      return all
    }
    for fault in retried { wake(fault.address) }
  }

  private func wake(_ page: Address) {
    window.wake(AddressRange(page, page + space.geometry.pageSize))
  }

  // MARK: The threads

  private func run() {
    lock.lock()
    unsafe starting -= 1
    while unsafe !isStopped {
      // Before all else: others may wait for a reader.
      if unsafe !isRead {
        readLocked()
      } else if let event = nextLocked() {
        lock.unlock()
        serve(event)
        lock.lock()
      } else {
        unsafe idle += 1
        roles.wait(lock)
        unsafe idle -= 1
      }
    }
    lock.unlock()
  }

  /// A fault to serve, which the caller does.
  private func nextLocked() -> PagingFault.Event? {
    if unsafe queue.isEmpty { return nil }
    unsafe serving += 1
    return unsafe queue.removeFirst()
  }

  /// Reads until there is a fault that another thread's idleness allows to be served. Needs the lock, which
  /// it lets go while it waits and serves.
  private func readLocked() {
    unsafe isRead = true
    while unsafe !isStopped {
      if unsafe !queue.isEmpty, hasIdleLocked(), let event = nextLocked() {
        unsafe isRead = false
        // What else there is to serve is another thread's, after it has found that nobody reads.
        if unsafe !queue.isEmpty || readerWaits > 0 { roles.signal() }
        lock.unlock()
        serve(event)
        return lock.lock()
      }
      lock.unlock()
      let events = window.faults.wait(orFor: stopSignal) ? window.faults.read() : []
      lock.lock()
      unsafe queue.append(contentsOf: events)
    }
    unsafe isRead = false
  }

  /// Whether another thread is idle, or new and yet to look for work; one more is made if not. Needs the
  /// lock, which it may let go for a moment.
  private func hasIdleLocked() -> Bool {
    if unsafe idle + starting == 0, unsafe threads.count < threadLimit {
      lock.unlock()
      try? addThread()
      lock.lock()
    }
    // The new one may have found something to serve by now: then it is no reader to be.
    return unsafe idle + starting > 0
  }

  /// Calls `body`, which needs to be read for, from beginning to end.
  func withReader<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
    lock.withLock {
      unsafe readerWaits += 1
      if unsafe !isRead { roles.signal() }
    }
    defer { lock.withLock { unsafe readerWaits -= 1 } }
    return try body()
  }

  /// Sees to it that a thread reads, or is about to, if none does now.
  func ensureReader() {
    lock.withLock {
      if unsafe !isRead { roles.signal() }
    }
  }

  /// Returns when every fault that was read has been served, or its toucher paused. Of a page that several
  /// touched at once the last are served when all of these have gone on.
  func waitUntilIdle() {
    while lock.withLock({ unsafe serving > 0 || !queue.isEmpty }) { usleep(200) }
  }

  private func serve(_ event: PagingFault.Event) {
    defer { lock.withLock { unsafe serving -= 1 } }
    guard let page = window.guestAddress(of: event.address) else { return }
    let round = lock.withLock {
      if event.isProtection {
        unsafe counts.copyFaults += 1
      } else {
        unsafe counts.demandFaults += 1
      }
      return unsafe retries
    }
    do throws(HoldfastError) {
      let resolution = try space.fault(page, event.access) { ensureReader() }
      count(resolution.work)
      window.wake(resolution.range)
    } catch {
      report(
        FaultFailure(address: page, access: event.access, thread: event.thread, error: error),
        since: round)
    }
  }

  private func count(_ work: FaultResolution.Work) {
    if work == .none { return }
    lock.withLock {
      switch work {
      case .none: break
      case .zeroed: unsafe counts.zeroedFaults += 1
      case .copied: unsafe counts.copiedFaults += 1
      case .paged: unsafe counts.pagedFaults += 1
      }
    }
  }

  private func report(_ failure: FaultFailure, since round: UInt64) {
    let isLate = lock.withLock {
      unsafe counts.failures += 1
      // All were let go while this one was found to fail: the cause may be gone, and nobody might say so
      // again.
      if unsafe retries != round { return true }
      // Before the owner hears of it, who may let paused touchers try again at once. A toucher whom a
      // signal took out of its wait comes again.
      removePausedLocked(failure)
      unsafe paused.append(failure)
      return false
    }
    if isLate { return wake(failure.address) }
    // The owner may take his time.
    ensureReader()
    switch onFailure(failure) {
    case .pause: return
    case .retry: break
    case .refuse: guard refuse(failure) else { return }
    }
    lock.withLock { removePausedLocked(failure) }
    wake(failure.address)
  }

  /// - Returns: whether the toucher is to try again, and fail or not.
  private func refuse(_ failure: FaultFailure) -> Bool {
    let page = AddressRange(failure.address, failure.address + space.geometry.pageSize)
    var isRefused = false
    let refusal = space.refuse(failure.address, failure.access, after: failure.error) {
      isRefused = window.refuse(page)
    }
    return switch refusal {
    case .refused: isRefused
    case .wired: false
    case .changed: true
    }
  }

  private func removePausedLocked(_ failure: FaultFailure) {
    // A toucher waits in one place; a signal may have called it away from another.
    unsafe paused.removeAll { $0.thread == failure.thread }
  }
}
