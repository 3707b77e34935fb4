public import HoldfastCore

/// Why a virtual processor came back from the guest (Linux: `exit_reason` of `struct kvm_run`).
public enum VMExit: Hashable, Sendable {
  /// An IN or OUT. For an OUT `data` is what the guest writes; an IN is answered with
  /// `VirtualCPU.answer`.
  case io(port: UInt16, width: Int, isWrite: Bool, data: [UInt8])
  /// An access to addresses without a slot. For a write `data` is what the guest writes, for a read
  /// zeros, as many as are wanted; it is answered with `VirtualCPU.answer`.
  case memoryMapped(Address, isWrite: Bool, data: [UInt8])
  /// HLT.
  case halted
  /// A triple fault or a shutdown of the guest's own.
  case shutdown
  /// The hardware refused the processor's state; `reason` is its own number.
  case failedEntry(reason: UInt64)
  /// KVM could not go on. 1: an instruction that it cannot emulate.
  case internalError(UInt64)
  /// `VirtualCPU.interrupt` was called.
  case interrupted
  /// The guest touched memory of a slot that this process cannot reach: nothing is mapped there, or it
  /// may not be written.
  case memoryFault(MemoryFault)
  /// Another `exit_reason`.
  case other(UInt32)

  /// A touch that nobody can serve.
  public struct MemoryFault: Hashable, Sendable {
    /// The guest's address, to the page or to the byte; nil where the kernel does not tell.
    public let address: Address?
    /// Whether it was a write, nil where the kernel does not tell.
    public let isWrite: Bool?
    /// KVM_RUN's error number, or nil where the kernel took the access for a device's. With a number the
    /// guest tries again when it runs again; without one a write is lost, and a read sees zeros or
    /// what `VirtualCPU.answer` says.
    public let errno: Int32?
  }

  /// The kinds, for counting.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case io, memoryMapped, halted, shutdown, failedEntry, internalError, interrupted, memoryFault
    case other
  }

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
  public var description: String {
    switch self {
    case .io(let port, let width, let isWrite, _):
      "\(isWrite ? "OUT to" : "IN from") port 0x\(String(port, radix: 16)), \(width) bytes wide"
    case .memoryMapped(let address, let isWrite, let data):
      "\(isWrite ? "write" : "read") of \(data.count) bytes at \(address), where no memory is"
    case .halted: "HLT"
    case .shutdown: "shutdown (triple fault)"
    case .failedEntry(let reason):
      "the hardware refused the processor's state (0x\(String(reason, radix: 16)))"
    case .internalError(let number): "KVM's internal error \(number)"
    case .interrupted: "interrupted"
    case .memoryFault(let fault):
      (fault.isWrite.map { $0 ? "write to" : "read of" } ?? "access to")
        + " memory that is not accessible"
        + (fault.address.map { " at \($0)" } ?? ", the kernel does not tell where")
    case .other(let reason): "exit \(reason) of KVM"
    }
  }
}
