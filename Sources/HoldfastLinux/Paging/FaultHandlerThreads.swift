internal import Glibc
internal import HoldfastCore
internal import SystemPackage

/// The threads of a `FaultHandler` and what they share.
///
/// At most one thread reads (`isRead`). A reader that has a fault serves it itself if another
/// thread is idle or starting, which could take over reading; it does not wake that one, so no
/// thread reads meanwhile. The idle thread is woken to read when
/// - further faults were read than the one that the reader serves;
/// - the fault is about to take long, so that others are served meanwhile (`ensureReader`);
/// - a mapping is being moved, which lasts until its event is read (`withReader`). Meanwhile a
///   reader that goes to serve, perhaps to wait for the lock of the same window, first wakes the
///   next one.
///
/// If no thread is idle another one is created. At the limit, or if none can be created, the reader
/// leaves the faults in the queue, for threads that finish, and goes on reading. So there is always
/// a thread that reads or can be made to.
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
  /// Threads that were created and have not looked for work yet.
  private nonisolated(unsafe) var starting = 0
  /// Whether a thread reads the userfaultfd.
  private nonisolated(unsafe) var isRead = false
  /// Faults that are being served.
  private nonisolated(unsafe) var serving = 0
  /// Threads in `withReader`.
  private nonisolated(unsafe) var readerWaits = 0
  private nonisolated(unsafe) var isStopping = false
  private nonisolated(unsafe) var isStopped = false
  /// Faults that were read and that no thread serves yet.
  private nonisolated(unsafe) var queue: [Userfaultfd.Fault] = []
  private nonisolated(unsafe) var counts = FaultStatistics()
  /// The faults whose threads wait, each with its own number, at most one for each thread.
  private nonisolated(unsafe) var paused: [(number: UInt64, failure: FaultFailure)] = []
  /// Faults recorded in `paused` so far.
  private nonisolated(unsafe) var pauses: UInt64 = 0
  /// Calls of `retryPaused` so far.
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
      // A single thread would have no other to read while it serves.
      for _ in 0..<2 { try addThread() }
    } catch {
      stop()
      throw error
    }
  }

  var statistics: FaultStatistics { lock.withLock { unsafe counts } }
  /// The number of threads that wait for something to do, for tests.
  var idleThreads: Int { lock.withLock { unsafe idle } }
  var pausedFaults: [FaultFailure] { lock.withLock { unsafe paused.map(\.failure) } }

  private func addThread() throws(Errno) {
    // With the lock held, so that `stop` joins this thread too.
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
    // Before the threads end: what they are serving may wait for a reader, and needs none after
    // this.
    window.close()
    let ending = lock.withLock {
      unsafe isStopped = true
      roles.broadcast()
      return unsafe threads
    }
    stopSignal.raise()
    for thread in ending {
      // The owner may drop the last reference in its response to a failure, on a handler thread.
      if thread.isCurrent { thread.detach() } else { thread.join() }
    }
    lock.withLock {
      // Breaks the cycle: each thread holds a reference to this object.
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
    for (_, failure) in retried { wake(failure.address) }
  }

  private func wake(_ page: Address) {
    window.wake(AddressRange(from: page, to: page + space.geometry.pageSize))
  }

  // MARK: The threads

  private func run() {
    lock.lock()
    unsafe starting -= 1
    while unsafe !isStopped {
      // First of all: others may wait for a reader.
      if unsafe !isRead {
        readLocked()
      } else if let fault = takeFaultLocked() {
        lock.unlock()
        serve(fault)
        lock.lock()
      } else {
        unsafe idle += 1
        roles.wait(lock)
        unsafe idle -= 1
      }
    }
    lock.unlock()
  }

  /// Takes a fault from the queue, which the caller then serves. Needs the lock.
  private func takeFaultLocked() -> Userfaultfd.Fault? {
    if unsafe queue.isEmpty { return nil }
    unsafe serving += 1
    return unsafe queue.removeFirst()
  }

  /// Reads until there is a fault that this thread may serve, because another one can read, and
  /// serves it. Needs the lock, which it releases while it waits and serves.
  private func readLocked() {
    unsafe isRead = true
    while unsafe !isStopped {
      if unsafe !queue.isEmpty, hasIdleLocked(), let fault = takeFaultLocked() {
        unsafe isRead = false
        // The woken thread finds that no thread reads, and does; it serves the rest of the queue.
        if unsafe !queue.isEmpty || readerWaits > 0 { roles.signal() }
        lock.unlock()
        serve(fault)
        return lock.lock()
      }
      lock.unlock()
      let found = window.faults.wait(orFor: stopSignal) ? window.faults.read() : []
      lock.lock()
      unsafe queue.append(contentsOf: found)
    }
    unsafe isRead = false
  }

  /// Whether another thread is idle or starting; creates one if not. Needs the lock, which it may
  /// release for a moment.
  private func hasIdleLocked() -> Bool {
    if unsafe idle + starting == 0, unsafe threads.count < threadLimit {
      lock.unlock()
      try? addThread()
      lock.lock()
    }
    // The new thread may already have found a fault to serve; then it cannot take over reading.
    return unsafe idle + starting > 0
  }

  /// Calls `body` with a thread reading, or free to read, from its beginning to its end.
  func withReader<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
    lock.withLock {
      unsafe readerWaits += 1
      if unsafe !isRead { roles.signal() }
    }
    defer { lock.withLock { unsafe readerWaits -= 1 } }
    return try body()
  }

  /// Wakes a thread to read, if none reads.
  func ensureReader() {
    lock.withLock {
      if unsafe !isRead { roles.signal() }
    }
  }

  /// Waits until every fault that was read has been served, or its thread paused.
  func waitUntilIdle() {
    while lock.withLock({ unsafe serving > 0 || !queue.isEmpty }) { usleep(200) }
  }

  /// Serves a fault of the calling thread, which waits for no handler thread.
  func serve(_ address: Address, _ access: Protection) throws(HoldfastError) {
    let page = address.roundedDown(to: space.geometry.pageSize)
    let isOver = lock.withLock {
      unsafe counts.processorFaults += 1
      return unsafe isStopping
    }
    // The window enters nothing any more, and drops no error.
    if isOver {
      throw HoldfastError(.guestFault, at: page, "the guest's access to its memory has ended")
    }
    do throws(HoldfastError) {
      count(try space.fault(page, access).work)
    } catch {
      // The page may have become resident without being entered.
      window.handOver(AddressRange(from: page, to: page + space.geometry.pageSize))
      throw error
    }
  }

  private func serve(_ fault: Userfaultfd.Fault) {
    defer { lock.withLock { unsafe serving -= 1 } }
    guard let page = window.guestAddress(of: fault.address) else { return }
    let round = lock.withLock {
      if fault.isProtection {
        unsafe counts.copyFaults += 1
      } else {
        unsafe counts.demandFaults += 1
      }
      return unsafe retries
    }
    do throws(HoldfastError) {
      let resolution = try space.fault(page, fault.access) { ensureReader() }
      count(resolution.work)
      window.wake(resolution.range)
    } catch {
      report(
        FaultFailure(address: page, access: fault.access, thread: fault.thread, error: error),
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
    // Nil if `retryPaused` was called while this fault was being served: the cause may be gone, and
    // there may be no further call.
    let number: UInt64? = lock.withLock {
      unsafe counts.failures += 1
      // Before the owner is called, which may call `retryPaused` at once.
      return unsafe retries == round ? pauseLocked(failure) : nil
    }
    guard let number else { return wake(failure.address) }
    // The owner may take long.
    ensureReader()
    switch onFailure(failure) {
    case .pause: return
    case .retry: break
    case .refuse: guard refuse(failure) else { return }
    }
    // Only this fault: since it was reported, the thread may have been woken and have failed anew.
    lock.withLock { unsafe paused.removeAll { $0.number == number } }
    wake(failure.address)
  }

  /// Records a fault whose thread waits. A record that its thread has already is replaced, because
  /// a thread waits at one address; a signal may have interrupted its wait at another. Needs the
  /// lock.
  ///
  /// - Returns: the record's number.
  private func pauseLocked(_ failure: FaultFailure) -> UInt64 {
    let isOld = { (record: (number: UInt64, failure: FaultFailure)) in
      record.failure.thread == failure.thread
    }
    // Which of the two faults is the later one is not known: handler threads may have served them
    // in either order. A thread that waits at the other page repeats its access and is read again.
    for record in unsafe paused where isOld(record) && record.failure.address != failure.address {
      wake(record.failure.address)
    }
    unsafe paused.removeAll(where: isOld)
    unsafe pauses &+= 1
    unsafe paused.append((pauses, failure))
    return unsafe pauses
  }

  /// Refuses a fault.
  ///
  /// - Returns: whether to wake the thread, which repeats its access, and fails unless the page has
  ///   changed meanwhile.
  private func refuse(_ failure: FaultFailure) -> Bool {
    let page = AddressRange(from: failure.address, to: failure.address + space.geometry.pageSize)
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
}
