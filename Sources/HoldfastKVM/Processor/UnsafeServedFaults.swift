internal import CHoldfastKVM
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// An access of an instruction that KVM emulates, to memory that the kernel could not access: KVM
/// takes the memory for a device and leaves the access to the monitor (KVM_EXIT_MMIO). It does not
/// repeat the instruction. So what it reads has to come from the guest's memory, and what it writes
/// has to be written there, exactly once. An access of more than 8 bytes, or to two pages, comes in
/// parts.
struct EmulatedAccess {
  let memory: GuestMemory
  let address: Address
  let isWrite: Bool
  /// What is written; as many bytes as are read.
  let bytes: [UInt8]

  /// Nil for other exits, and for accesses to other memory.
  init?(_ what: hf_exit, _ machine: VirtualMachine) {
    guard what.reason == UInt32(HF_EXIT_MMIO), what.length <= 8 else { return nil }
    address = Address(what.address)
    isWrite = what.is_write != 0
    guard let slot = machine.entry(at: address), let memory = slot.served,
      !(isWrite && slot.slot.flags.contains(.readOnly))
    else { return nil }
    self.memory = memory
    let data = what.data
    let all = [data.0, data.1, data.2, data.3, data.4, data.5, data.6, data.7]
    bytes = Array(all.prefix(Int(what.length)))
  }

  /// Serves the page fault and accesses the memory.
  ///
  /// - Returns: the bytes that were read; empty for a write.
  func perform() throws(HoldfastError) -> [UInt8] {
    try memory.faultHandler?.serve(address, isWrite ? .write : .read)
    if isWrite {
      try memory.write(bytes, to: address)
      return []
    }
    return try memory.read(address, count: bytes.count)
  }
}

/// The faults that KVM_RUN reports by its error, after which the guest repeats the access.
struct ReportedFaults {
  /// How often one page may be reported although its fault was served.
  private static let most = 16
  private var page: Address?
  private var count = 0

  /// Serves a fault.
  ///
  /// - Returns: whether to run the guest again. False for memory whose faults the processors do not
  ///   serve, and for a page that is still not accessible after its fault was served or left to a
  ///   handler thread.
  mutating func serve(_ fault: VMExit.MemoryFault, _ machine: VirtualMachine) -> Bool {
    guard fault.errno == Errno.badAddress.rawValue, let address = fault.address,
      let handler = machine.entry(at: address)?.served?.faultHandler
    else { return false }
    let place = address.roundedDown(to: .kibibytes(4))
    count = place == page ? count + 1 : 1
    page = place
    guard count <= Self.most else { return false }
    do throws(HoldfastError) {
      // Whether it is a write is not known. A page of memory that may be written to is entered for
      // writing by either, since none of it is shared.
      try handler.serve(address, .read)
      return true
    } catch {
      // Left to a handler thread, which reports it. If the access is refused, it fails again.
      return count == 1
    }
  }
}

extension VirtualMachine {
  /// The fault that an error of KVM_RUN reports.
  func reportedFault(_ error: Errno, _ area: UnsafeMutableRawPointer) -> VMExit.MemoryFault {
    var what = hf_exit()
    // SAFETY: the area is the processor's own.
    unsafe hf_kvm_exit(area, &what)
    return reportedFault(error, what)
  }

  func reportedFault(_ error: Errno, _ what: hf_exit) -> VMExit.MemoryFault {
    let isTold = what.reason == UInt32(HF_EXIT_MEMORY_FAULT) && capabilities.reportsFaultAddresses
    return .init(
      address: isTold ? Address(what.address) : nil, isWrite: nil, errno: error.rawValue)
  }
}
