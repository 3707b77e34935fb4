internal import CHoldfastKVM
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Which accesses to memory that fails in this process KVM reports to the thread in KVM_RUN.
///
/// Where the hardware has page tables for guests, every access of the guest is translated there, and
/// KVM_RUN fails with EFAULT and the address; the guest repeats the instruction. Where KVM emulates
/// instructions or walks the guest's page tables itself, it reports the data that an instruction
/// reads and writes (KVM_EXIT_MMIO), but neither the stack to which it delivers an interrupt, which
/// ends the guest, nor what FXSAVE or LGDT access, which KVM repeats without end.
package enum FaultReports: Int, Comparable, Sendable {
  /// Not even those of data.
  case none
  /// Accesses to data. Enough for programs without a stack, events and system instructions.
  case data
  /// All accesses.
  case all

  package static func < (one: FaultReports, two: FaultReports) -> Bool {
    one.rawValue < two.rawValue
  }

  /// What this host's KVM reports, found out by trying, once.
  package static let host = (try? trial(HostFiles(root: "/"))) ?? FaultReports.none

  /// Runs programs on a page that this process cannot access.
  static func trial(_ files: HostFiles) throws(HoldfastError) -> FaultReports {
    let read = try report(of: .scan)
    let write = try report(of: .fill)
    let least = min(read, write)
    return least == .all && !hasHardwareTables(files) ? .none : least
  }

  /// Whether the module's settings say that the hardware translates guest addresses in all modes of
  /// the processor. The trial runs in one.
  static func hasHardwareTables(_ files: HostFiles) -> Bool {
    func isSet(_ module: String, _ name: String) -> Bool {
      let text = files.text("/sys/module/\(module)/parameters/\(name)", limit: 16) ?? ""
      return ["Y", "1"].contains(text.filter { !$0.isWhitespace })
    }
    return isSet("kvm_intel", "ept") && isSet("kvm_intel", "unrestricted_guest")
      || isSet("kvm_amd", "npt")
  }

  private static func report(of program: GuestProgram) throws(HoldfastError) -> FaultReports {
    let page = try TrialPage()
    let machine = try VirtualMachine()
    try machine.addSlot(
      guestAddress: .zero, hostAddress: page.address, length: TrialPage.size, owner: page)
    let runner = try GuestRunner(machine: machine, processors: 1)
    let range = AddressRange(from: .zero, to: .zero + TrialPage.size)
    let processor = runner.processors[0]
    runner.control.load(program)
    let share = GuestShare(start: range.start, steps: 1)
    let task = GuestTask(program, over: [range])
    try processor.setRegisters(
      share.registers(
        task, stride: task.stride, code: runner.control.code, words: runner.control.words(of: 0)))
    guard case .memoryFault(let fault) = try processor.run(),
      let address = fault.address, range.contains(address)
    else { return .none }
    guard fault.errno == Errno.badAddress.rawValue else {
      return fault.errno == nil ? .data : .none
    }
    // The guest has to repeat the access.
    try page.allow()
    return try processor.run() == .halted ? .all : .none
  }
}

/// A page of this process without access.
@safe private final class TrialPage: Sendable {
  static let size = ByteCount.kibibytes(4)
  // SAFETY: mapped in `init`, unmapped in `deinit`, and never accessed through the pointer.
  private nonisolated(unsafe) let start: UnsafeMutableRawPointer

  var address: UInt64 { unsafe UInt64(UInt(bitPattern: start)) }

  init() throws(HoldfastError) {
    var place: UnsafeMutableRawPointer?
    let status = unsafe hf_kvm_map_memory(Int(Self.size.rawValue), &place)
    try KVMCalls.check(status, "find out how KVM reports page faults", "mmap")
    guard let place = unsafe place else {
      throw HoldfastError(
        .host, operation: "find out how KVM reports page faults", reason: "mmap gave no address")
    }
    unsafe start = place
    try set(false)
  }

  func allow() throws(HoldfastError) { try set(true) }

  private func set(_ isAllowed: Bool) throws(HoldfastError) {
    let status = unsafe hf_kvm_allow(start, Int(Self.size.rawValue), isAllowed ? 1 : 0)
    try KVMCalls.check(status, "find out how KVM reports page faults", "mprotect")
  }

  deinit {
    _ = unsafe hf_kvm_unmap(start, Int(Self.size.rawValue))
  }
}
