internal import CHoldfastKVM
public import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// A virtual processor (bhyve: `struct vcpu`; Linux: KVM_CREATE_VCPU). One thread at a time uses it;
/// `interrupt` may be called by any.
///
/// It keeps its machine alive, and so the memory of the machine's slots.
@safe public final class VirtualCPU: Sendable {
  public let machine: VirtualMachine
  /// 0 for the first of a machine.
  public let number: Int
  let descriptor: Int32
  // SAFETY: mapped in `init`, unmapped in `deinit`. What both the kernel and other threads change
  // (immediate_exit) is touched with atomics only; the rest by the thread that has the turn.
  nonisolated(unsafe) let area: UnsafeMutableRawPointer
  private let areaSize: Int

  private let lock = Lock()
  /// Whether a thread has its turn. Protected by `lock`.
  private nonisolated(unsafe) var isInUse = false
  /// The thread that is in `run`, or 0. Protected by `lock`: who holds it may send that thread a signal
  /// without hitting another one.
  private nonisolated(unsafe) var runner: Int32 = 0
  /// Whether somebody wants `run` to return. Set before immediate_exit, which others set too.
  private let isInterrupted = Atomic<Bool>(false)
  /// Whether the guest's last instruction waits for its answer. The turn's.
  private nonisolated(unsafe) var isUnanswered = false

  init(_ machine: VirtualMachine, number: UInt32) throws(HoldfastError) {
    let operation = "make a virtual processor"
    try KVMCalls.check(
      hf_kvm_kick_signal(), operation, "sigaction",
      advice: .other("leave a real-time signal unused"))
    let size = hf_kvm_run_size(machine.device)
    try KVMCalls.check(size, operation, "KVM_GET_VCPU_MMAP_SIZE")
    let descriptor = hf_kvm_create_vcpu(machine.descriptor, number)
    try KVMCalls.check(descriptor, operation, "KVM_CREATE_VCPU")
    var area: UnsafeMutableRawPointer?
    do throws(HoldfastError) {
      try KVMCalls.check(
        hf_kvm_set_host_cpuid(machine.device, descriptor), operation, "KVM_SET_CPUID2")
      let status = unsafe hf_kvm_map_run(descriptor, Int(size), &area)
      try KVMCalls.check(status, operation, "mmap")
    } catch {
      _ = hf_kvm_close(descriptor)
      throw error
    }
    guard let area = unsafe area else { preconditionFailure("mmap gave no address") }
    self.machine = machine
    self.number = Int(number)
    self.descriptor = descriptor
    unsafe self.area = area
    areaSize = Int(size)
  }

  deinit {
    _ = unsafe hf_kvm_unmap(area, areaSize)
    _ = hf_kvm_close(descriptor)
  }

  /// Gives the calling thread the turn for `body`.
  ///
  /// - Throws: code `busy` where another thread has it: the kernel would wait for the guest to stop.
  func withTurn<Result>(
    _ operation: String, runs: Bool = false, _ body: () throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    let isFree = lock.withLock {
      guard unsafe !isInUse else { return false }
      unsafe isInUse = true
      unsafe runner = runs ? hf_kvm_thread() : 0
      return true
    }
    guard isFree else {
      throw HoldfastError(
        .busy, operation: operation, reason: "another thread uses the processor",
        advice: .other("interrupt it first"))
    }
    defer {
      lock.withLock {
        unsafe runner = 0
        unsafe isInUse = false
      }
    }
    return try body()
  }

  /// Makes the call of `run` that is under way, or else the next one, return `VMExit.interrupted`. Any
  /// thread; several calls before `run` returns count as one.
  ///
  /// A guest that waits for memory that userfaultfd has trapped may come back only when the fault is
  /// served: where KVM emulates the instruction the kernel itself touches the memory, and goes on trying.
  /// So whoever serves faults ends after the processors have stopped, or closes the userfaultfd, which
  /// lets them go.
  public func interrupt() {
    lock.withLock {
      // First the flag: a thread that is on its way into the guest sees it, one that is inside gets
      // the signal, one that waits for a fault to be served too.
      isInterrupted.store(true, ordering: .sequentiallyConsistent)
      unsafe hf_kvm_request_exit(area)
      // It can fail only for a thread that is gone, and this one is inside `run`.
      if unsafe runner != 0 { _ = unsafe hf_kvm_kick(runner) }
    }
  }

  /// Forgets a request that came since the last `run`.
  func discardInterruption() {
    lock.withLock {
      isInterrupted.store(false, ordering: .sequentiallyConsistent)
      _ = unsafe hf_kvm_take_exit_request(area)
    }
  }

  /// Runs the guest until it exits. A request to interrupt that came before counts.
  ///
  /// - Throws: code `busy` where another thread uses the processor, else what KVM_RUN failed with.
  public func run() throws(HoldfastError) -> VMExit {
    let operation = "run virtual processor \(number)"
    let wasBlocked = hf_kvm_unblock_kick() == 1
    // After the turn, so that a late signal is taken by this thread here.
    defer { if wasBlocked { hf_kvm_block_kick() } }
    return try withTurn(operation, runs: true) { () throws(HoldfastError) in
      unsafe isUnanswered = false
      while true {
        let status = hf_kvm_run(descriptor)
        if status == 0 { return exit() }
        let error = Errno(rawValue: -status)
        switch error {
        case .interrupted:
          _ = unsafe hf_kvm_take_exit_request(area)
          if isInterrupted.exchange(false, ordering: .sequentiallyConsistent) {
            return .interrupted
          }
        // Any other signal: the guest goes on.
        case .badAddress, Errno(rawValue: 133):
          // EFAULT, EHWPOISON.
          return memoryFault(error)
        default:
          throw HoldfastError(errno: error, operation: operation, request: "KVM_RUN")
        }
      }
    }
  }

  /// What an IN or a read of addresses without memory is to see, before the next `run`: as many bytes
  /// as it wants, the rest being left out. Without an answer it sees zeros, or what was there last.
  ///
  /// - Throws: code `busy`.
  public func answer(_ bytes: [UInt8]) throws(HoldfastError) {
    try withTurn("answer a read of virtual processor \(number)") { () throws(HoldfastError) in
      // SAFETY: the bytes live through the call, which takes no more than there are.
      unsafe bytes.withUnsafeBufferPointer { buffer in
        if let start = buffer.baseAddress { _ = unsafe hf_kvm_answer(area, start, buffer.count) }
      }
    }
  }

  /// Lets an instruction that waits for its answer end, before the processor is set to something else:
  /// the kernel would complete it then. By the thread that has the turn.
  func settle() {
    guard unsafe isUnanswered else { return }
    unsafe isUnanswered = false
    // A string of accesses takes as many answers.
    for _ in 0..<4096 {
      unsafe hf_kvm_request_exit(area)
      if hf_kvm_run(descriptor) != 0 { break }
    }
    _ = unsafe hf_kvm_take_exit_request(area)
    if isInterrupted.load(ordering: .sequentiallyConsistent) { unsafe hf_kvm_request_exit(area) }
  }

  // MARK: Exits

  private func memoryFault(_ error: Errno) -> VMExit {
    var what = hf_exit()
    unsafe hf_kvm_exit(area, &what)
    let isTold = what.reason == UInt32(HF_EXIT_MEMORY_FAULT) && machine.capabilities.tellsFaults
    return .memoryFault(
      .init(address: isTold ? Address(what.address) : nil, isWrite: nil, errno: error.rawValue))
  }

  private func exit() -> VMExit {
    var what = hf_exit()
    unsafe hf_kvm_exit(area, &what)
    switch what.reason {
    case UInt32(HF_EXIT_IO):
      unsafe isUnanswered = true
      return output(what)
    case UInt32(HF_EXIT_MMIO):
      unsafe isUnanswered = true
      let address = Address(what.address)
      // Where KVM emulates the instruction it takes memory that it cannot reach for a device.
      if machine.slot(at: address) != nil {
        return .memoryFault(.init(address: address, isWrite: what.is_write != 0, errno: nil))
      }
      let data = what.data
      let bytes = [data.0, data.1, data.2, data.3, data.4, data.5, data.6, data.7]
      let isWrite = what.is_write != 0
      return .memoryMapped(
        address, isWrite: isWrite,
        data: bytes.prefix(Int(what.length)).map { isWrite ? $0 : 0 })
    case UInt32(HF_EXIT_HLT): return .halted
    case UInt32(HF_EXIT_SHUTDOWN): return .shutdown
    case UInt32(HF_EXIT_FAIL_ENTRY): return .failedEntry(reason: what.detail)
    case UInt32(HF_EXIT_INTERNAL_ERROR): return .internalError(what.detail)
    case UInt32(HF_EXIT_MEMORY_FAULT):
      return .memoryFault(.init(address: Address(what.address), isWrite: nil, errno: nil))
    default: return .other(what.reason)
    }
  }

  private func output(_ what: hf_exit) -> VMExit {
    var data = [UInt8](repeating: 0, count: Int(what.length))
    if what.is_write != 0 {
      // SAFETY: the call writes no more bytes than there is room for.
      unsafe data.withUnsafeMutableBufferPointer { buffer in
        if let start = buffer.baseAddress { _ = unsafe hf_kvm_output(area, start, buffer.count) }
      }
    }
    return .io(
      port: UInt16(truncatingIfNeeded: what.address), width: Int(what.width),
      isWrite: what.is_write != 0, data: data)
  }
}
