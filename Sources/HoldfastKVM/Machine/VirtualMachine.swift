internal import CHoldfastKVM
internal import Holdfast
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A virtual machine of KVM: memory slots, and the processors that run on them (bhyve: `struct vm`;
/// Linux: KVM_CREATE_VM). It has no interrupt controller, so HLT ends `VirtualCPU.run`.
///
///     let machine = try VirtualMachine()
///     try machine.addSlots(of: memory)
///     let processor = try machine.makeProcessor()
///
/// Its processors keep the machine alive, and the machine keeps the `GuestMemory` of its slots
/// alive, which it releases after it has removed the slots. Safe to use from any thread.
public final class VirtualMachine: Sendable {
  /// What the host's KVM can do.
  public struct Capabilities: Hashable, Sendable {
    /// The largest number of slots of a machine.
    public let slots: Int
    /// The largest number of processors of a machine.
    public let processors: Int
    /// Whether slots may be read-only for the guest (KVM_CAP_READONLY_MEM).
    public let hasReadOnlySlots: Bool
    /// Whether an exit for a fault that the host cannot serve has the guest address
    /// (KVM_CAP_MEMORY_FAULT_INFO).
    public let reportsFaultAddresses: Bool
    /// Whether KVM refuses its own interfaces that CPUID lacks (KVM_CAP_ENFORCE_PV_FEATURE_CPUID).
    package let hidesInterfaces: Bool
    /// Whether `preFault` can map guest memory ahead (KVM_CAP_PRE_FAULT_MEMORY, Linux 6.11).
    public let preFaults: Bool
  }

  /// The guest addresses from 3 to 4 GiB, where processors and devices have registers. `addSlots`
  /// leaves them out. `addSlot` accepts them, except for the pages of the local APIC and of KVM,
  /// from 0xfee00000 to 0xff000000.
  public static let hole = RAMLayout.hole

  /// What the host's KVM can do for this machine.
  public let capabilities: Capabilities
  let device: Int32
  let descriptor: Int32

  struct Slot {
    let slot: MemorySlot
    /// Kept alive until the slot is removed.
    let owner: (any AnyObject & Sendable)?
    /// The memory whose faults the processors serve, at the same guest addresses.
    var served: GuestMemory?
  }

  let lock = Lock()
  /// Slots by number. Protected by `lock`.
  nonisolated(unsafe) var slotTable: [UInt32: Slot] = [:]
  /// Protected by `lock`.
  nonisolated(unsafe) var nextProcessor: UInt32 = 0
  /// Whether processors serve faults of some memory. Protected by `lock`.
  nonisolated(unsafe) var servesFaults = false

  /// Creates a machine without slots and processors. The corresponding request is `KVM_CREATE_VM`.
  ///
  /// - Throws: code `unsupported` where /dev/kvm cannot be opened or lacks what Holdfast needs;
  ///   `resourceShortage` where the host is out of memory or descriptors; `host` where a request
  ///   fails otherwise.
  public convenience init() throws(HoldfastError) {
    try self.init(path: "/dev/kvm")
  }

  /// Creates a machine of the device at a path, for tests.
  package init(path: String) throws(HoldfastError) {
    let operation = "create a virtual machine"
    let device = try KVMCalls.open(path, operation: operation)
    var machine: Int32 = -1
    do throws(HoldfastError) {
      // A pending signal makes the request fail with EINTR.
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
      // Removing a slot cannot fail here: no processor runs any more.
      _ = hf_kvm_set_slot(descriptor, number, 0, 0, 0, 0)
    }
    _ = hf_kvm_close(descriptor)
    _ = hf_kvm_close(device)
  }

  /// Creates a processor with all features that the host's KVM supports. The corresponding requests
  /// are `KVM_CREATE_VCPU` and `KVM_SET_CPUID2`. Processors that serve the faults of memory with
  /// `FaultServing.processors` lack nested machines, UMIP and KVM's own interfaces, such as its
  /// clock: with these the kernel accesses guest memory by itself.
  ///
  /// - Throws: code `resourceShortage` where the machine has the largest number of processors or
  ///   the host is out of memory or descriptors; `host` where a request fails otherwise. Takes the
  ///   machine's lock.
  public func makeProcessor() throws(HoldfastError) -> VirtualCPU {
    let (number, isPlain) = try lock.withLock { () throws(HoldfastError) in
      guard unsafe nextProcessor < UInt32(clamping: capabilities.processors) else {
        throw HoldfastError(
          .resourceShortage, operation: "create a virtual processor",
          reason: "the machine has \(capabilities.processors) processors, the host's limit")
      }
      defer { unsafe nextProcessor += 1 }
      return unsafe (nextProcessor, servesFaults)
    }
    return try VirtualCPU(self, number: number, isPlain: isPlain)
  }
}
