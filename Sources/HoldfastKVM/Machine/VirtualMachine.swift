internal import CHoldfastKVM
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A virtual machine of the kernel (bhyve: `struct vm`; Linux: /dev/kvm): slots of memory, and
/// processors that run on it. It has no interrupt controller, so that HLT ends `VirtualCPU.run`.
///
///     let machine = try VirtualMachine()
///     try machine.addSlots(of: memory)
///     let processor = try machine.makeProcessor()
///
/// A machine lives as long as one of its processors does, and keeps the `GuestMemory` of its slots
/// alive; it removes its slots before it lets go of them. Safe to use from any thread.
public final class VirtualMachine: Sendable {
  /// What this host's KVM can do.
  public struct Capabilities: Hashable, Sendable {
    /// How many slots a machine may have.
    public let slots: Int
    /// How many processors a machine may have.
    public let processors: Int
    /// Slots that the guest cannot write (KVM_CAP_READONLY_MEM).
    public let hasReadOnlySlots: Bool
    /// A fault that the host cannot serve tells its address (KVM_CAP_MEMORY_FAULT_INFO).
    public let tellsFaults: Bool
    /// Guest memory can be mapped ahead (KVM_CAP_PRE_FAULT_MEMORY, Linux 6.11).
    public let preFaults: Bool
  }

  /// Guest addresses below 4 GiB that are no memory: KVM and the processor have things of their own
  /// there. `addSlots` leaves it out; a slot of the caller's own may lie there, but not over the local APIC's
  /// page and KVM's own, from 0xfee00000 to 0xff000000.
  public static let hole = RAMLayout.hole

  public let capabilities: Capabilities
  let device: Int32
  let descriptor: Int32

  struct Slot {
    let slot: MemorySlot
    /// Kept alive until the slot is gone.
    let owner: (any AnyObject & Sendable)?
  }

  let lock = Lock()
  /// By number. Protected by `lock`.
  nonisolated(unsafe) var slotTable: [UInt32: Slot] = [:]
  /// Protected by `lock`.
  nonisolated(unsafe) var nextProcessor: UInt32 = 0

  /// A machine without memory and processors.
  ///
  /// - Parameter path: the device, as tests may want to say.
  /// - Throws: code `unavailable` where the device cannot be opened or is no KVM of version 12,
  ///   `unsupported` where it lacks what is needed, `resourceShortage`, `host`.
  public init(path: String = "/dev/kvm") throws(HoldfastError) {
    let operation = "make a virtual machine"
    let device = try KVMCalls.open(path, operation: operation)
    var machine: Int32 = -1
    do throws(HoldfastError) {
      // While another process takes signals the kernel may say EINTR.
      repeat { machine = hf_kvm_create_vm(device) } while machine == -Errno.interrupted.rawValue
      try KVMCalls.check(machine, operation, "KVM_CREATE_VM")
      capabilities = try KVMCalls.capabilities(of: machine, operation: operation)
      try KVMCalls.setUp(machine, operation: operation)
    } catch {
      if machine >= 0 { _ = hf_kvm_close(machine) }
      _ = hf_kvm_close(device)
      throw error
    }
    self.device = device
    descriptor = machine
  }

  deinit {
    for number in unsafe slotTable.keys {
      // A slot that is there can be removed: nothing runs any more.
      _ = hf_kvm_set_slot(descriptor, number, 0, 0, 0, 0)
    }
    _ = hf_kvm_close(descriptor)
    _ = hf_kvm_close(device)
  }

  /// Makes a processor, which has the features that the host's KVM can give.
  ///
  /// - Throws: code `resourceShortage` where the machine has as many as it may or the host is out of
  ///   something, `host`.
  public func makeProcessor() throws(HoldfastError) -> VirtualCPU {
    let number = try lock.withLock { () throws(HoldfastError) in
      guard unsafe nextProcessor < UInt32(clamping: capabilities.processors) else {
        throw HoldfastError(
          .resourceShortage, operation: "make a virtual processor",
          reason: "the machine has \(capabilities.processors), the most that this host allows")
      }
      defer { unsafe nextProcessor += 1 }
      return unsafe nextProcessor
    }
    return try VirtualCPU(self, number: number)
  }
}
