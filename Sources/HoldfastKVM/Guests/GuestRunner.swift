public import Holdfast
public import HoldfastCore
internal import HoldfastLinux

/// Runs guest programs: a machine, processors in 64-bit mode with identity page tables, and a
/// thread for each processor.
///
///     let runner = try GuestRunner(memory: memory, processors: 2)
///     let result = try runner.run(GuestTask(.scan, over: [receipt.range]))
///
/// It runs one task at a time. Safe to use from any thread.
public final class GuestRunner: Sendable {
  /// The default guest address of the programs and their page tables, in the hole below 4 GiB where
  /// no guest has RAM.
  public static let controlAddress = Address(0xD000_0000)

  /// The machine that the programs run on.
  public let machine: VirtualMachine
  /// The processors that the runner created, which share the work of a task.
  public let processors: [VirtualCPU]
  let control: ControlMemory
  private let controlSlot: MemorySlot

  let lock = Lock()
  /// Protected by `lock`.
  nonisolated(unsafe) var isRunning = false

  /// Creates a runner on a new machine that has slots for a guest memory.
  ///
  /// Processors serve the faults of memory with `FaultServing.processors` also where KVM emulates
  /// their instructions and reports only what the programs do. So code of others, with interrupts
  /// or system instructions, needs a machine of its own there, as `init(machine:processors:)` takes.
  ///
  /// - Parameters:
  ///   - memory: the guest memory, with a limit of at most 512 GiB.
  ///   - processors: how many processors to create, 1 to 1024.
  ///   - flags: what KVM does with the slots.
  /// - Throws: as `VirtualMachine.init()`, `VirtualMachine.addSlots(of:flags:)` and
  ///   `init(machine:processors:controlAddress:)`.
  public convenience init(
    memory: GuestMemory, processors: Int = 1, flags: MemorySlot.Flags = []
  ) throws(HoldfastError) {
    let machine = try VirtualMachine()
    // The programs have no stack, and no event is delivered to them.
    try machine.addSlots(of: memory, flags: flags, allowing: .data)
    try self.init(machine: machine, processors: processors)
  }

  /// Creates a runner on a machine that has slots already. Programs can access all of them. The
  /// runner adds a slot for the programs.
  ///
  /// - Parameters:
  ///   - machine: the machine.
  ///   - count: how many processors to create, 1 to 1024.
  ///   - controlAddress: where the programs' slot goes, some 80 KiB and 4 KiB for each GiB up to
  ///     the last slot.
  /// - Throws: code `invalidArgument` for other numbers of processors and for slots beyond 512 GiB;
  ///   otherwise as `VirtualMachine.addSlot` and `makeProcessor`. No slot is left behind then.
  public init(
    machine: VirtualMachine, processors count: Int, controlAddress: Address = controlAddress
  ) throws(HoldfastError) {
    guard (1...ControlMemory.mostProcessors).contains(count) else {
      throw HoldfastError(
        .invalidArgument, operation: "run guest programs",
        reason: "\(count) processors are not 1 to \(ControlMemory.mostProcessors)")
    }
    let limit = machine.slots.map(\.guestRange.end).max() ?? .zero
    control = try ControlMemory(at: controlAddress, limit: limit)
    let slot = try machine.addSlot(
      guestAddress: control.address, hostAddress: control.hostAddress, length: control.size,
      owner: control)
    var made: [VirtualCPU] = []
    do throws(HoldfastError) {
      for _ in 0..<count {
        let processor = try machine.makeProcessor()
        let mode = SpecialRegisters.longMode(pageTables: control.pageTables.rawValue)
        try processor.setSpecialRegisters(mode)
        made.append(processor)
      }
    } catch {
      try machine.removeSlot(slot)
      throw error
    }
    self.machine = machine
    processors = made
    controlSlot = slot
  }

  deinit {
    // The slot exists, and no processor of this runner runs.
    try? machine.removeSlot(controlSlot)
  }

  /// Runs a task to its end.
  ///
  /// - Parameters:
  ///   - task: a program that is not endless, and its memory.
  ///   - timeLimit: how long the task may take; nil for no limit.
  /// - Returns: what the program found.
  /// - Throws: code `invalidArgument` for an endless program, a stride that is not a positive
  ///   multiple of 8, and ranges that are unaligned, beyond 512 GiB or overlap the programs' slot;
  ///   `busy` while another task runs; `guestFault` with the address where a processor accesses
  ///   memory that is not accessible, and where a processor exits otherwise or the time limit
  ///   passes; `resourceShortage` or `host` where threads cannot be created.
  public func run(
    _ task: GuestTask, timeLimit: Duration? = nil
  ) throws(HoldfastError) -> GuestResult {
    guard !task.program.isEndless else {
      throw HoldfastError(
        .invalidArgument, operation: "run the guest program \(task.program.name)",
        reason: "the program is endless", advice: .other("start the program, and stop it"))
    }
    return try start(task).wait(timeLimit: timeLimit)
  }

  /// Starts a task and returns while it runs. An endless program needs a processor for each range.
  ///
  /// - Returns: the run, to stop or wait for.
  /// - Throws: as `run`, except for errors of the program, which `GuestRun.wait` throws.
  public func start(_ task: GuestTask) throws(HoldfastError) -> GuestRun {
    let operation = "run the guest program \(task.program.name)"
    let stride = task.program.isDense ? ByteCount(8) : task.stride
    func refusal(_ reason: String, _ advice: Advice? = nil) -> HoldfastError {
      HoldfastError(.invalidArgument, operation: operation, reason: reason, advice: advice)
    }
    guard stride >= ByteCount(8), stride.isMultiple(of: ByteCount(8)) else {
      throw refusal("the stride \(stride.rawValue) is not a positive multiple of 8")
    }
    for range in task.ranges {
      guard range.start.isAligned(to: ByteCount(8)), range.end <= .zero + ControlMemory.reach else {
        throw refusal("the range \(range) does not start at a multiple of 8 or exceeds 512 GiB")
      }
      let own = AddressRange(from: control.address, to: control.address + control.size)
      guard !range.overlaps(own) else {
        throw refusal("the range \(range) overlaps the programs at \(own)")
      }
    }
    let shares = GuestShare.shares(of: task.ranges, stride: stride, count: processors.count)
    guard !task.program.isEndless || shares.allSatisfy({ $0.count <= 1 }) else {
      throw refusal(
        "an endless program needs a processor for each of \(task.ranges.count) ranges, and the "
          + "runner has \(processors.count)",
        .other("fewer ranges, or more processors"))
    }
    let isFree = lock.withLock {
      guard unsafe !isRunning else { return false }
      unsafe isRunning = true
      return true
    }
    guard isFree else {
      throw HoldfastError(
        .busy, operation: operation, reason: "another task runs",
        advice: .wait(until: "it has ended"))
    }
    control.load(task.program)
    for (number, processor) in processors.enumerated() {
      control.reset(number)
      // A processor that had stopped before its task was cancelled still has the request.
      processor.discardInterruption()
    }
    return try GuestRun(self, task, stride: stride, shares: shares, operation: operation)
  }

  /// Marks the task as ended.
  func finish() {
    lock.withLock { unsafe isRunning = false }
  }
}

extension GuestProgram {
  /// Runs the program on a guest memory, on a new machine.
  ///
  /// - Parameters:
  ///   - memory: the guest memory, with a limit of at most 512 GiB.
  ///   - ranges: the guest addresses to access.
  ///   - processors: how many processors run the program, 1 to 1024.
  ///   - stride: the distance from one word to the next, a multiple of 8.
  ///   - seed: determines the pattern.
  ///   - timeLimit: how long the program may take; nil for no limit.
  /// - Returns: what the program found.
  /// - Throws: as `GuestRunner.init` and `GuestRunner.run`.
  public func run(
    on memory: GuestMemory, over ranges: [AddressRange], processors: Int = 1,
    stride: ByteCount = .kibibytes(4), seed: UInt64 = 1, timeLimit: Duration? = nil
  ) throws(HoldfastError) -> GuestResult {
    let runner = try GuestRunner(memory: memory, processors: processors)
    return try runner.run(
      GuestTask(self, over: ranges, stride: stride, seed: seed), timeLimit: timeLimit)
  }
}
