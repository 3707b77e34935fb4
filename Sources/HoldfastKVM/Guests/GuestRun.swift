public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A task in progress, with a thread for each processor. When the object is released, the task is
/// cancelled. Safe to use from any thread.
public final class GuestRun: Sendable {
  private let work: GuestWork
  private let threads: [BackgroundThread]
  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var isJoined = false

  init(
    _ runner: GuestRunner, _ task: GuestTask, stride: ByteCount, shares: [[GuestShare]],
    operation: String
  ) throws(HoldfastError) {
    let work = GuestWork(runner, task, stride: stride, operation: operation)
    self.work = work
    var threads: [BackgroundThread] = []
    do throws(Errno) {
      for (number, share) in shares.enumerated() {
        threads.append(
          try BackgroundThread("holdfast-vcpu\(number)") { work.perform(share, number) })
      }
    } catch {
      work.cancel()
      for thread in threads { thread.join() }
      runner.finish()
      throw HoldfastError(errno: error, operation: operation, request: "pthread_create")
    }
    self.threads = threads
  }

  deinit {
    work.cancel()
    join()
  }

  /// The number of passes of `touch` that every processor has finished so far.
  public var passes: UInt64 {
    work.runner.processors.indices.map { work.runner.control.passes($0) }.min() ?? 0
  }

  /// The number of wrong words that `touch` has found in the passes finished so far.
  public var wrongWords: UInt64 {
    work.runner.processors.indices.reduce(0) { $0 &+ work.runner.control.wrong($1) }
  }

  /// Makes an endless program stop at the end of its pass. Other programs run to their end.
  public func stop() {
    for number in work.runner.processors.indices { work.runner.control.stop(number) }
  }

  /// Stops the processors in the middle of their pass. One that waits for a page fault may stop
  /// only when the fault is served; see `VirtualCPU.interrupt`.
  public func cancel() {
    work.cancel()
  }

  /// Waits until all processors have stopped.
  ///
  /// - Parameter timeLimit: how long to wait before the run is cancelled and the call fails; nil
  ///   for no limit.
  /// - Returns: what the program found. For a cancelled run, `isComplete` is false.
  /// - Throws: code `guestFault` where the program failed, as `GuestRunner.run` describes, or did
  ///   not end in time.
  public func wait(timeLimit: Duration? = nil) throws(HoldfastError) -> GuestResult {
    var isLate = false
    if let timeLimit, !work.hasEnded(within: timeLimit) {
      isLate = true
      work.cancel()
    }
    join()
    if let failure = work.failure { throw failure }
    if isLate, let timeLimit {
      throw HoldfastError(
        .guestFault, operation: work.operation,
        reason: "the program did not end within \(timeLimit.shortText)")
    }
    return work.result
  }

  private func join() {
    lock.withLock {
      guard unsafe !isJoined else { return }
      unsafe isJoined = true
      for thread in threads { thread.join() }
      work.runner.finish()
    }
  }
}

/// The state that the threads of a run share.
final class GuestWork: Sendable {
  let runner: GuestRunner
  let task: GuestTask
  let stride: ByteCount
  let operation: String
  /// Announced when a processor's thread has done its part.
  private let ended = Event()
  private let started = Instant.now

  private let lock = Lock()
  /// Protected by `lock`, as are the next three.
  private nonisolated(unsafe) var isCancelled = false
  private nonisolated(unsafe) var tallies: [GuestTally] = []
  private nonisolated(unsafe) var firstFailure: HoldfastError?
  private nonisolated(unsafe) var duration: Duration = .zero

  init(_ runner: GuestRunner, _ task: GuestTask, stride: ByteCount, operation: String) {
    self.runner = runner
    self.task = task
    self.stride = stride
    self.operation = operation
  }

  var failure: HoldfastError? { lock.withLock { unsafe firstFailure } }

  var result: GuestResult {
    lock.withLock { unsafe GuestResult(task.program, tallies, duration) }
  }

  /// Waits until all processors have stopped, and returns whether they have within a time.
  func hasEnded(within limit: Duration) -> Bool {
    let end = Instant.now + limit.bounded
    while true {
      let ticket = ended.ticket()
      if lock.withLock({ isOver }) { return true }
      let left = end - Instant.now
      guard left > .zero else { return false }
      _ = ended.wait(since: ticket, atMost: left)
    }
  }

  /// Whether all processors have stopped. Read with the lock held.
  private var isOver: Bool { unsafe tallies.count == runner.processors.count }

  func cancel() {
    let hasEnded = lock.withLock {
      unsafe isCancelled = true
      return isOver
    }
    guard !hasEnded else { return }
    // A processor that has not started yet keeps the request, and its thread looks when it exits.
    for processor in runner.processors { processor.interrupt() }
  }

  /// The body of a processor's thread.
  func perform(_ shares: [GuestShare], _ number: Int) {
    var tally = GuestTally()
    var failure: HoldfastError?
    do throws(HoldfastError) {
      for share in shares where tally.isComplete {
        try perform(share, number, &tally)
      }
    } catch {
      failure = error
      tally.isComplete = false
    }
    lock.withLock {
      unsafe tallies.append(tally)
      unsafe duration = Instant.now - started
      if unsafe firstFailure == nil { unsafe firstFailure = failure }
    }
    // The other processors need not go on.
    if failure != nil { cancel() }
    ended.announce()
  }

  private func perform(
    _ share: GuestShare, _ number: Int, _ tally: inout GuestTally
  ) throws(HoldfastError) {
    let processor = runner.processors[number]
    let control = runner.control
    let words = control.words(of: number)
    try processor.setRegisters(
      share.registers(task, stride: stride, code: control.code, words: words))
    while true {
      let exit = try processor.run()
      tally.exits[exit.kind, default: 0] += 1
      switch exit {
      case .halted:
        add(share, try processor.registers(), &tally)
        return
      case .interrupted:
        // Other code that has the processor may have interrupted it.
        guard lock.withLock({ unsafe isCancelled }) else { continue }
        add(share, try processor.registers(), &tally)
        tally.isComplete = false
        return
      default:
        throw problem(exit, number, (try? processor.registers())?.rip)
      }
    }
  }

  private func add(_ share: GuestShare, _ registers: Registers, _ tally: inout GuestTally) {
    // The string instruction of a dense program needs RAX, so such a program counts in RBP.
    tally.wrongWords &+= task.program.isDense ? registers.rbp : registers.rax
    if registers.rbx != .max {
      let address = Address(registers.rbx)
      tally.firstWrong = min(tally.firstWrong ?? address, address)
    }
    tally.passes = min(tally.passes, registers.r12)
    // `touch` writes all words once before its first pass.
    let extra: UInt64 = task.program == .touch ? 1 : 0
    tally.touches &+= (registers.r12 &+ extra) &* share.steps
  }

  private func problem(_ exit: VMExit, _ number: Int, _ rip: UInt64?) -> HoldfastError {
    var address: Address?
    var errno: Int32?
    var advice: Advice?
    switch exit {
    case .memoryFault(let fault):
      address = fault.address
      errno = fault.errno
      advice =
        fault.error.map(\.advice)
        ?? .other("wire the range, or create the guest memory with demand paging")
    case .memoryMapped(let other, _, _):
      address = other
      advice = .other("add a slot for the range")
    default: break
    }
    let at = rip.map { " (RIP 0x\(String($0, radix: 16)))" } ?? ""
    return HoldfastError(
      .guestFault, operation: operation, address: address,
      reason: "KVM_RUN of virtual processor \(number) ended: \(exit)\(at)", errno: errno,
      advice: advice)
  }
}
