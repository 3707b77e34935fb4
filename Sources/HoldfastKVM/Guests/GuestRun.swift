internal import Dispatch
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A task that runs. It ends at the latest when this object goes, which waits for the processors.
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
        work.group.enter()
        do throws(Errno) {
          threads.append(
            try BackgroundThread("holdfast-vcpu\(number)") { work.perform(share, number) })
        } catch {
          work.group.leave()
          throw error
        }
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

  /// How many passes of `touch` every processor has done so far.
  public var passes: UInt64 {
    work.runner.processors.indices.map { work.runner.control.passes($0) }.min() ?? 0
  }

  /// How many wrong words `touch` has found up to now, by the ends of the processors' passes.
  public var wrongWords: UInt64 {
    work.runner.processors.indices.reduce(0) { $0 &+ work.runner.control.wrong($1) }
  }

  /// Tells an endless program to stop at the end of its pass. Others run on to their end.
  public func stop() {
    for number in work.runner.processors.indices { work.runner.control.stop(number) }
  }

  /// Stops the processors where they are; see `VirtualCPU.interrupt` for those that wait for memory.
  public func cancel() {
    work.cancel()
  }

  /// Waits until all processors have ended.
  ///
  /// - Parameter timeLimit: after which they are stopped where they are, which is an error.
  /// - Returns: what came of it; of a run that was cancelled what is known.
  /// - Throws: as `GuestRunner.run`.
  public func wait(timeLimit: Duration? = nil) throws(HoldfastError) -> GuestResult {
    var isLate = false
    if let timeLimit {
      let (seconds, attoseconds) = timeLimit.components
      let limit = Double(seconds) + Double(attoseconds) * 1e-18
      if work.group.wait(timeout: .now() + limit) == .timedOut {
        isLate = true
        work.cancel()
      }
    }
    join()
    if let failure = work.failure { throw failure }
    if isLate {
      throw HoldfastError(
        .guestFault, operation: work.operation, reason: "it was not done when its time was over")
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

/// What the threads of a run have in common.
final class GuestWork: Sendable {
  let runner: GuestRunner
  let task: GuestTask
  let stride: ByteCount
  let operation: String
  let group = DispatchGroup()
  private let started = ContinuousClock.now

  private let lock = Lock()
  /// Protected by `lock`, all of them.
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

  func cancel() {
    let isOver = lock.withLock {
      unsafe isCancelled = true
      return unsafe tallies.count == runner.processors.count
    }
    guard !isOver else { return }
    // A processor that has not begun yet keeps the request, and looks when it comes back.
    for processor in runner.processors { processor.interrupt() }
  }

  /// The work of a processor's thread.
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
      unsafe duration = ContinuousClock.now - started
      if unsafe firstFailure == nil { unsafe firstFailure = failure }
    }
    // The others' work is of no use any more.
    if failure != nil { cancel() }
    group.leave()
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
        // It may not be ours: who has the processor may interrupt it.
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
    // RAX is what words are compared with where that is the processor's own loop.
    tally.wrongWords &+= task.program.isDense ? registers.rbp : registers.rax
    if registers.rbx != .max {
      let address = Address(registers.rbx)
      tally.firstWrong = min(tally.firstWrong ?? address, address)
    }
    tally.passes = min(tally.passes, registers.r12)
    // `touch` writes everything once before its first pass.
    let extra: UInt64 = task.program == .touch ? 1 : 0
    tally.touches &+= (registers.r12 &+ extra) &* share.steps
  }

  private func problem(_ exit: VMExit, _ number: Int, _ place: UInt64?) -> HoldfastError {
    var address: Address?
    var errno: Int32?
    var advice: Advice?
    switch exit {
    case .memoryFault(let fault):
      address = fault.address
      errno = fault.errno
      advice = .other("map and wire the range, or serve its faults")
    case .memoryMapped(let other, _, _):
      address = other
      advice = .other("a slot for the range")
    default: break
    }
    let at = place.map { " (RIP 0x\(String($0, radix: 16)))" } ?? ""
    return HoldfastError(
      .guestFault, operation: operation, address: address,
      reason: "virtual processor \(number) stopped in KVM_RUN: \(exit)\(at)", errno: errno,
      advice: advice)
  }
}
