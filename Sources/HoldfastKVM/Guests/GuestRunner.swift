public import Holdfast
public import HoldfastCore
internal import HoldfastLinux

/// Runs guest programs on memory: a machine, processors in long mode on page tables where each address
/// means itself, and a thread for each.
///
///     let runner = try GuestRunner(memory: memory, processors: 2)
///     let result = try runner.run(GuestTask(.scan, over: [receipt.range]))
///
/// One task at a time. Safe to use from any thread.
public final class GuestRunner: Sendable {
  /// Where the programs and their page tables lie: in the hole below 4 GiB, so that no memory is taken
  /// from the guest's.
  public static let controlAddress = Address(0xD000_0000)

  public let machine: VirtualMachine
  public let processors: [VirtualCPU]
  let control: ControlMemory
  private let controlSlot: MemorySlot

  let lock = Lock()
  /// Protected by `lock`.
  nonisolated(unsafe) var isRunning = false

  /// A runner on the machine that has a guest's memory in its slots; see `VirtualMachine.addSlots`.
  ///
  /// - Throws: as `VirtualMachine.init`, `addSlots` and the other initializer.
  public convenience init(
    memory: GuestMemory, processors: Int = 1, flags: MemorySlot.Flags = []
  ) throws(HoldfastError) {
    let machine = try VirtualMachine()
    try machine.addSlots(of: memory, flags: flags)
    try self.init(machine: machine, processors: processors)
  }

  /// A runner on a machine that has its slots, all of which the programs reach. It adds one of its own.
  ///
  /// - Parameters:
  ///   - processors: how many are made, 1 to 1024.
  ///   - controlAddress: where its own pages go, some 80 KiB and 4 KiB for each GiB that is reached.
  /// - Throws: codes `invalidArgument` for other numbers and for slots beyond 512 GiB; as
  ///   `VirtualMachine.addSlot` and `makeProcessor`.
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
    // It is there, and no processor of this runner runs.
    try? machine.removeSlot(controlSlot)
  }

  /// Runs a task to its end.
  ///
  /// - Parameter timeLimit: after which the processors are stopped, or nil for none.
  /// - Throws: code `invalidArgument` for a program without an end or a bad task, `busy` while another
  ///   task runs, `guestFault` where a processor touches memory that is not there (with the address)
  ///   or comes back for another reason than its program's end, or the time is over.
  public func run(
    _ task: GuestTask, timeLimit: Duration? = nil
  ) throws(HoldfastError) -> GuestResult {
    guard !task.program.isEndless else {
      throw HoldfastError(
        .invalidArgument, operation: "run the guest program \(task.program.name)",
        reason: "it has no end", advice: .other("start it, and stop it"))
    }
    return try start(task).wait(timeLimit: timeLimit)
  }

  /// Starts a task and returns while it runs.
  ///
  /// - Throws: as `run`, but for what happens later.
  public func start(_ task: GuestTask) throws(HoldfastError) -> GuestRun {
    let operation = "run the guest program \(task.program.name)"
    let stride = task.program.isDense ? ByteCount(8) : task.stride
    func refusal(_ reason: String, _ advice: Advice? = nil) -> HoldfastError {
      HoldfastError(.invalidArgument, operation: operation, reason: reason, advice: advice)
    }
    guard stride >= ByteCount(8), stride.isMultiple(of: ByteCount(8)) else {
      throw refusal("the stride \(stride.rawValue) is no positive multiple of 8")
    }
    for range in task.ranges {
      guard range.start.isAligned(to: ByteCount(8)), range.end <= .zero + ControlMemory.reach else {
        throw refusal("\(range) does not begin at a multiple of 8 or is beyond 512 GiB")
      }
      let own = AddressRange(control.address, control.address + control.size)
      guard !range.overlaps(own) else { throw refusal("\(range) has the program itself in it") }
    }
    let shares = GuestShare.shares(of: task.ranges, stride: stride, count: processors.count)
    guard !task.program.isEndless || shares.allSatisfy({ $0.count <= 1 }) else {
      throw refusal(
        "a processor would have to be in several ranges at once",
        .other(
          "ranges that the \(processors.count) processors can share out whole, or more processors"))
    }
    let isFree = lock.withLock {
      guard unsafe !isRunning else { return false }
      unsafe isRunning = true
      return true
    }
    guard isFree else {
      throw HoldfastError(
        .busy, operation: operation, reason: "another task runs", advice: .other("wait for it"))
    }
    control.load(task.program)
    for (number, processor) in processors.enumerated() {
      control.reset(number)
      // A processor that had ended when its task was cancelled has kept the request.
      processor.discardInterruption()
    }
    return try GuestRun(self, task, stride: stride, shares: shares, operation: operation)
  }

  /// The task is over.
  func finish() {
    lock.withLock { unsafe isRunning = false }
  }
}

extension GuestProgram {
  /// Runs the program on a guest's memory, on a machine made for it; see `GuestRunner.run`.
  public func run(
    on memory: GuestMemory, over ranges: [AddressRange], processors: Int = 1,
    stride: ByteCount = .kibibytes(4), seed: UInt64 = 1, timeLimit: Duration? = nil
  ) throws(HoldfastError) -> GuestResult {
    let runner = try GuestRunner(memory: memory, processors: processors)
    return try runner.run(
      GuestTask(self, over: ranges, stride: stride, seed: seed), timeLimit: timeLimit)
  }
}
