internal import CHoldfastKVM
public import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// A virtual processor (bhyve: `struct vcpu`; Linux: KVM_CREATE_VCPU).
///
/// One thread at a time uses it; only `interrupt` may be called by any thread at any time. A call
/// that finds the processor in use fails with code `busy`. The processor keeps its machine alive,
/// and so the memory of the machine's slots.
@safe public final class VirtualCPU: Sendable {
  /// The machine of the processor.
  public let machine: VirtualMachine
  /// The processor's number, 0 for the first of a machine.
  public let number: Int
  let descriptor: Int32
  // SAFETY: mapped in `init`, unmapped in `deinit`. Only `immediate_exit` is changed by the kernel
  // and other threads, with atomics; the rest is accessed by the thread that uses the processor.
  nonisolated(unsafe) let area: UnsafeMutableRawPointer
  private let areaSize: Int

  private let lock = Lock()
  /// Whether a thread uses the processor. Protected by `lock`.
  private nonisolated(unsafe) var isInUse = false
  /// The thread that is in `run`, or 0. Protected by `lock`, so a thread that holds it can send the
  /// runner a signal before the number is reused.
  private nonisolated(unsafe) var runner: Int32 = 0
  /// Whether `interrupt` was called. Set before `immediate_exit`, which `settle` sets too.
  private let isInterrupted = Atomic<Bool>(false)
  /// Whether the guest's last instruction waits for its answer. Accessed by the thread that uses
  /// the processor.
  private nonisolated(unsafe) var isUnanswered = false
  /// The access of the guest's last instruction that waits for memory. Accessed by the thread that
  /// uses the processor.
  private nonisolated(unsafe) var pending: EmulatedAccess?

  init(_ machine: VirtualMachine, number: UInt32, isPlain: Bool) throws(HoldfastError) {
    let operation = "create a virtual processor"
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
        hf_kvm_set_host_cpuid(machine.device, descriptor, isPlain ? 1 : 0), operation,
        "KVM_SET_CPUID2")
      if isPlain {
        try KVMCalls.check(hf_kvm_enforce_cpuid(descriptor), operation, "KVM_ENABLE_CAP")
      }
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

  /// Lets the calling thread use the processor while `body` runs.
  ///
  /// - Throws: code `busy` where another thread uses it. The kernel would wait for the guest to
  ///   stop.
  func withExclusiveUse<Result>(
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

  /// Makes the current call of `run`, or else the next one, return `VMExit.interrupted`. Any thread
  /// may call this; several calls before `run` returns count as one.
  ///
  /// A guest that waits for a page fault may return only when the fault is served: where KVM
  /// emulates the instruction, the kernel accesses the memory and retries until it can. Stop the
  /// fault handler last, after the processors.
  public func interrupt() {
    lock.withLock {
      // The flag first: a thread that is about to enter the guest sees it. One that is inside, or
      // that waits for a fault to be served, gets the signal.
      isInterrupted.store(true, ordering: .sequentiallyConsistent)
      unsafe hf_kvm_request_exit(area)
      // This fails only for a thread that has ended, and the runner is inside `run`.
      if unsafe runner != 0 { _ = unsafe hf_kvm_kick(runner) }
    }
  }

  /// Discards an interruption that was requested since the last `run`.
  func discardInterruption() {
    lock.withLock {
      isInterrupted.store(false, ordering: .sequentiallyConsistent)
      _ = unsafe hf_kvm_take_exit_request(area)
    }
  }

  /// Runs the guest until it exits. An `interrupt` that came before the call counts. The
  /// corresponding request is `KVM_RUN`.
  ///
  /// - Returns: why the guest exited.
  /// - Throws: code `busy` where another thread uses the processor; `host`, `resourceShortage` or
  ///   `invalidArgument` with the error number where the request fails.
  public func run() throws(HoldfastError) -> VMExit {
    let operation = "run virtual processor \(number)"
    let wasBlocked = hf_kvm_unblock_kick() == 1
    // After the use of the processor, so that this thread takes a late signal before it goes on.
    defer { if wasBlocked { hf_kvm_block_kick() } }
    return try withExclusiveUse(operation, runs: true) { () throws(HoldfastError) in
      unsafe isUnanswered = false
      var faults = ReportedFaults()
      while true {
        if let failure = complete() { return failure }
        let status = hf_kvm_run(descriptor)
        if status == 0 {
          if takeEmulatedAccess() { continue }
          return exit()
        }
        let error = Errno(rawValue: -status)
        switch error {
        case .interrupted:
          _ = unsafe hf_kvm_take_exit_request(area)
          if isInterrupted.exchange(false, ordering: .sequentiallyConsistent) {
            return .interrupted
          }
        // Any other signal: run the guest again.
        case .badAddress, Errno(rawValue: 133):
          // EFAULT, EHWPOISON.
          let fault = unsafe machine.reportedFault(error, area)
          if faults.serve(fault, machine) { continue }
          return .memoryFault(fault)
        default:
          throw HoldfastError(errno: error, operation: operation, request: "KVM_RUN")
        }
      }
    }
  }

  /// Sets what the guest reads, after an exit for an IN or for a read of addresses without a slot
  /// and before the next `run`. Without an answer the guest reads zeros or the bytes of an earlier
  /// answer.
  ///
  /// - Parameter bytes: as many as the guest reads; more are ignored.
  /// - Throws: code `busy` where another thread uses the processor.
  public func answer(_ bytes: [UInt8]) throws(HoldfastError) {
    try withExclusiveUse("answer a read of virtual processor \(number)") {
      () throws(HoldfastError) in
      // SAFETY: the bytes outlive the call, which reads at most `count` of them.
      unsafe bytes.withUnsafeBufferPointer { buffer in
        if let start = buffer.baseAddress { _ = unsafe hf_kvm_answer(area, start, buffer.count) }
      }
      if unsafe pending?.isWrite == false { unsafe pending = nil }
    }
  }

  /// Completes an instruction that waits for its answer, before registers are set. Otherwise the
  /// kernel would complete it afterwards and change them. Called by the thread that uses the
  /// processor.
  func settle() {
    guard unsafe isUnanswered else { return }
    unsafe isUnanswered = false
    unsafe pending = nil
    // A string instruction has an access for each element.
    for _ in 0..<4096 {
      unsafe hf_kvm_request_exit(area)
      if hf_kvm_run(descriptor) != 0 { break }
    }
    _ = unsafe hf_kvm_take_exit_request(area)
    if isInterrupted.load(ordering: .sequentiallyConsistent) { unsafe hf_kvm_request_exit(area) }
  }

  // MARK: Exits

  /// Keeps an access that KVM emulates and took for one to a device, if it is to memory whose faults
  /// the processors serve.
  private func takeEmulatedAccess() -> Bool {
    var what = hf_exit()
    unsafe hf_kvm_exit(area, &what)
    guard let access = EmulatedAccess(what, machine) else { return false }
    unsafe pending = access
    return true
  }

  /// Completes the access that waits for memory, once.
  ///
  /// - Returns: the exit of an access that cannot be completed, which stays; nil where none waits
  ///   any more.
  private func complete() -> VMExit? {
    guard let access = unsafe pending else { return nil }
    do throws(HoldfastError) {
      let bytes = try access.perform()
      // SAFETY: the bytes outlive the call, which reads at most `count` of them.
      unsafe bytes.withUnsafeBufferPointer { buffer in
        if let start = buffer.baseAddress { _ = unsafe hf_kvm_answer(area, start, buffer.count) }
      }
      unsafe pending = nil
      return nil
    } catch {
      unsafe isUnanswered = true
      return .memoryFault(
        .init(address: access.address, isWrite: access.isWrite, errno: nil, error: error))
    }
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
      // Where KVM emulates the instruction, it takes inaccessible memory for a device.
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
      // SAFETY: the call writes at most `count` bytes.
      unsafe data.withUnsafeMutableBufferPointer { buffer in
        if let start = buffer.baseAddress { _ = unsafe hf_kvm_output(area, start, buffer.count) }
      }
    }
    return .io(
      port: UInt16(truncatingIfNeeded: what.address), width: Int(what.width),
      isWrite: what.is_write != 0, data: data)
  }
}
