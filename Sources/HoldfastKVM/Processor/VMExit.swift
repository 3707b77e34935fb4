public import HoldfastCore

/// Why a virtual processor stopped running the guest (Linux: `exit_reason` of `struct kvm_run`).
public enum VMExit: Hashable, Sendable {
  /// An IN or OUT instruction. For OUT, `data` is what the guest writes; for IN, the monitor calls
  /// `VirtualCPU.answer` with what the guest reads.
  case io(port: UInt16, width: Int, isWrite: Bool, data: [UInt8])
  /// An access to addresses without a slot. For a write, `data` is what the guest writes. For a
  /// read it is zeros, as many as the guest reads, and the monitor calls `VirtualCPU.answer`.
  case memoryMapped(Address, isWrite: Bool, data: [UInt8])
  /// A HLT instruction.
  case halted
  /// A triple fault, or a shutdown by the guest.
  case shutdown
  /// The hardware refused the processor's state, with the hardware's number for the reason.
  case failedEntry(reason: UInt64)
  /// KVM failed, with its number for the error; 1 is an instruction that it cannot emulate.
  case internalError(UInt64)
  /// `VirtualCPU.interrupt` was called.
  case interrupted
  /// The guest accessed memory of a slot that this process cannot access that way: it is not
  /// mapped, or not writable.
  case memoryFault(MemoryFault)
  /// Another `exit_reason`.
  case other(UInt32)

  /// An access that cannot be served.
  public struct MemoryFault: Hashable, Sendable {
    /// The guest address, exact to the page or to the byte; nil where KVM does not report it.
    public let address: Address?
    /// Whether the access was a write, or nil where KVM does not report it.
    public let isWrite: Bool?
    /// KVM_RUN's error number, or nil where KVM took the access for one to a device. With a number,
    /// the guest repeats the access when it runs again. Without one and without `error`, a write is
    /// lost, and a read gets zeros or the bytes of `VirtualCPU.answer`.
    public let errno: Int32?
    /// Why a processor that serves its own faults (`FaultServing.processors`) could not serve this
    /// one; nil for other processors. The access is repeated when the guest runs again, unless the
    /// monitor answers it (`VirtualCPU.answer`) or sets registers.
    public let error: HoldfastError?

    init(address: Address?, isWrite: Bool?, errno: Int32?, error: HoldfastError? = nil) {
      self.address = address
      self.isWrite = isWrite
      self.errno = errno
      self.error = error
    }
  }

  /// The kinds of exits, for counting. Each has the name of its case of `VMExit`.
  public enum Kind: String, Hashable, Sendable, CaseIterable, Codable {
    /// `VMExit.io`.
    case io
    /// `VMExit.memoryMapped`.
    case memoryMapped
    /// `VMExit.halted`.
    case halted
    /// `VMExit.shutdown`.
    case shutdown
    /// `VMExit.failedEntry`.
    case failedEntry
    /// `VMExit.internalError`.
    case internalError
    /// `VMExit.interrupted`.
    case interrupted
    /// `VMExit.memoryFault`.
    case memoryFault
    /// `VMExit.other`.
    case other
  }

  /// The kind of this exit.
  public var kind: Kind {
    switch self {
    case .io: .io
    case .memoryMapped: .memoryMapped
    case .halted: .halted
    case .shutdown: .shutdown
    case .failedEntry: .failedEntry
    case .internalError: .internalError
    case .interrupted: .interrupted
    case .memoryFault: .memoryFault
    case .other: .other
    }
  }
}

extension VMExit: CustomStringConvertible {
  /// The exit as a phrase for messages.
  public var description: String {
    switch self {
    case .io(let port, let width, let isWrite, _):
      "\(isWrite ? "OUT to" : "IN from") port 0x\(String(port, radix: 16)), \(width) bytes wide"
    case .memoryMapped(let address, let isWrite, let data):
      "\(isWrite ? "write" : "read") of \(data.count) bytes at \(address), which has no slot"
    case .halted: "HLT"
    case .shutdown: "shutdown (triple fault)"
    case .failedEntry(let reason):
      "the hardware refused the processor's state (0x\(String(reason, radix: 16)))"
    case .internalError(let number): "internal error \(number) of KVM"
    case .interrupted: "interrupted"
    case .memoryFault(let fault):
      (fault.isWrite.map { $0 ? "write to" : "read of" } ?? "access to")
        + " memory that is not accessible"
        + (fault.address.map { " at \($0)" } ?? ", at an unknown address")
        + (fault.error.map { ": \($0.reason)" } ?? "")
    case .other(let reason): "exit \(reason) of KVM"
    }
  }
}
