internal import CHoldfastKVM
public import HoldfastCore

/// The general registers of a processor (Linux: `struct kvm_regs`). Each property is the register
/// of that name.
public struct Registers: Hashable, Sendable {
  /// RAX.
  public var rax: UInt64 = 0
  /// RBX.
  public var rbx: UInt64 = 0
  /// RCX.
  public var rcx: UInt64 = 0
  /// RDX.
  public var rdx: UInt64 = 0
  /// RSI.
  public var rsi: UInt64 = 0
  /// RDI.
  public var rdi: UInt64 = 0
  /// RSP.
  public var rsp: UInt64 = 0
  /// RBP.
  public var rbp: UInt64 = 0
  /// R8.
  public var r8: UInt64 = 0
  /// R9.
  public var r9: UInt64 = 0
  /// R10.
  public var r10: UInt64 = 0
  /// R11.
  public var r11: UInt64 = 0
  /// R12.
  public var r12: UInt64 = 0
  /// R13.
  public var r13: UInt64 = 0
  /// R14.
  public var r14: UInt64 = 0
  /// R15.
  public var r15: UInt64 = 0
  /// RIP.
  public var rip: UInt64 = 0
  /// RFLAGS. Bit 1 is always set.
  public var rflags: UInt64 = 2

  /// Creates registers that are zero, apart from `rflags`.
  public init() {}
}

/// The registers that set the mode of a processor, as far as bare guests need them (Linux: `struct
/// kvm_sregs`).
public struct SpecialRegisters: Hashable, Sendable {
  /// A segment register with its descriptor.
  public struct Segment: Hashable, Sendable {
    /// The first linear address.
    public var base: UInt64 = 0
    /// The last offset, in bytes.
    public var limit: UInt32 = 0xFFFF_FFFF
    /// The selector that the guest reads.
    public var selector: UInt16 = 0
    /// The descriptor's type: 11 for code, 3 for data.
    public var type: UInt8 = 3
    /// Whether operands and addresses are 32 bits wide by default (D/B).
    public var is32Bit = true
    /// Whether code in the segment is 64-bit code (L).
    public var is64BitCode = false

    /// Creates a flat segment of 4 GiB for 32-bit data.
    public init() {}
  }

  /// CR0: protection, paging and others.
  public var cr0: UInt64 = 0
  /// CR2: the address of the last page fault inside the guest.
  public var cr2: UInt64 = 0
  /// CR3: the guest address of the page tables.
  public var cr3: UInt64 = 0
  /// CR4: extensions.
  public var cr4: UInt64 = 0
  /// The EFER register: long mode and others.
  public var efer: UInt64 = 0
  /// CS.
  public var code = Segment()
  /// DS, ES, FS, GS and SS, all equal.
  public var data = Segment()

  /// Creates registers for real mode with flat segments.
  public init() {}

  /// Returns registers for 64-bit mode without interrupts.
  ///
  /// - Parameter pageTables: the guest address of the top page table.
  public static func longMode(pageTables: UInt64) -> SpecialRegisters {
    var registers = SpecialRegisters()
    registers.cr0 = 0x8000_0011  // PG, ET, PE
    registers.cr3 = pageTables
    registers.cr4 = 0x20  // PAE
    registers.efer = 0x500  // LMA, LME
    registers.code.selector = 8
    registers.code.type = 11
    registers.code.is32Bit = false
    registers.code.is64BitCode = true
    registers.data.selector = 16
    return registers
  }
}

extension VirtualCPU {
  /// Returns the general registers. The corresponding request is `KVM_GET_REGS`.
  ///
  /// - Throws: code `busy` where another thread uses the processor, `host` where the request fails.
  public func registers() throws(HoldfastError) -> Registers {
    let operation = "read registers of virtual processor \(number)"
    return try withExclusiveUse(operation) { () throws(HoldfastError) in
      var raw = kvm_regs()
      // SAFETY: the call fills a struct that outlives it. So do the calls below.
      try KVMCalls.check(unsafe hf_kvm_get_registers(descriptor, &raw), operation, "KVM_GET_REGS")
      var registers = Registers()
      registers.rax = raw.rax
      registers.rbx = raw.rbx
      registers.rcx = raw.rcx
      registers.rdx = raw.rdx
      registers.rsi = raw.rsi
      registers.rdi = raw.rdi
      registers.rsp = raw.rsp
      registers.rbp = raw.rbp
      registers.r8 = raw.r8
      registers.r9 = raw.r9
      registers.r10 = raw.r10
      registers.r11 = raw.r11
      registers.r12 = raw.r12
      registers.r13 = raw.r13
      registers.r14 = raw.r14
      registers.r15 = raw.r15
      registers.rip = raw.rip
      registers.rflags = raw.rflags
      return registers
    }
  }

  /// Sets all general registers, after completing an access that waits for its answer. The
  /// corresponding request is `KVM_SET_REGS`.
  ///
  /// - Throws: code `busy` where another thread uses the processor, `host` where the request fails.
  public func setRegisters(_ registers: Registers) throws(HoldfastError) {
    let operation = "set registers of virtual processor \(number)"
    var raw = kvm_regs()
    raw.rax = registers.rax
    raw.rbx = registers.rbx
    raw.rcx = registers.rcx
    raw.rdx = registers.rdx
    raw.rsi = registers.rsi
    raw.rdi = registers.rdi
    raw.rsp = registers.rsp
    raw.rbp = registers.rbp
    raw.r8 = registers.r8
    raw.r9 = registers.r9
    raw.r10 = registers.r10
    raw.r11 = registers.r11
    raw.r12 = registers.r12
    raw.r13 = registers.r13
    raw.r14 = registers.r14
    raw.r15 = registers.r15
    raw.rip = registers.rip
    raw.rflags = registers.rflags
    try withExclusiveUse(operation) { () throws(HoldfastError) in
      settle()
      try KVMCalls.check(unsafe hf_kvm_set_registers(descriptor, &raw), operation, "KVM_SET_REGS")
    }
  }

  /// Returns the special registers, with DS for all data segments. The corresponding request is
  /// `KVM_GET_SREGS`.
  ///
  /// - Throws: code `busy` where another thread uses the processor, `host` where the request fails.
  public func specialRegisters() throws(HoldfastError) -> SpecialRegisters {
    let operation = "read special registers of virtual processor \(number)"
    return try withExclusiveUse(operation) { () throws(HoldfastError) in
      let raw = try rawSpecialRegisters(operation)
      var registers = SpecialRegisters()
      registers.cr0 = raw.cr0
      registers.cr2 = raw.cr2
      registers.cr3 = raw.cr3
      registers.cr4 = raw.cr4
      registers.efer = raw.efer
      registers.code = SpecialRegisters.Segment(raw.cs)
      registers.data = SpecialRegisters.Segment(raw.ds)
      return registers
    }
  }

  /// Sets the special registers, after completing an access that waits for its answer. Registers
  /// that `SpecialRegisters` lacks, such as the local APIC's base, stay as they are. The
  /// corresponding request is `KVM_SET_SREGS`.
  ///
  /// - Throws: code `busy` where another thread uses the processor; `invalidArgument` for values
  ///   that no processor has; `host` where the request fails otherwise.
  public func setSpecialRegisters(_ registers: SpecialRegisters) throws(HoldfastError) {
    let operation = "set special registers of virtual processor \(number)"
    try withExclusiveUse(operation) { () throws(HoldfastError) in
      settle()
      var raw = try rawSpecialRegisters(operation)
      raw.cr0 = registers.cr0
      raw.cr2 = registers.cr2
      raw.cr3 = registers.cr3
      raw.cr4 = registers.cr4
      raw.efer = registers.efer
      raw.cs = registers.code.raw
      raw.ds = registers.data.raw
      raw.es = registers.data.raw
      raw.fs = registers.data.raw
      raw.gs = registers.data.raw
      raw.ss = registers.data.raw
      try KVMCalls.check(
        unsafe hf_kvm_set_special_registers(descriptor, &raw), operation, "KVM_SET_SREGS")
    }
  }

  private func rawSpecialRegisters(_ operation: String) throws(HoldfastError) -> kvm_sregs {
    var raw = kvm_sregs()
    try KVMCalls.check(
      unsafe hf_kvm_get_special_registers(descriptor, &raw), operation, "KVM_GET_SREGS")
    return raw
  }
}

extension SpecialRegisters.Segment {
  init(_ raw: kvm_segment) {
    base = raw.base
    limit = raw.limit
    selector = raw.selector
    type = raw.type
    is32Bit = raw.db != 0
    is64BitCode = raw.l != 0
  }

  /// The descriptor as KVM has it: present, for code or data, with 4 KiB granularity.
  var raw: kvm_segment {
    var raw = kvm_segment()
    raw.base = base
    raw.limit = limit
    raw.selector = selector
    raw.type = type
    raw.present = 1
    raw.s = 1
    raw.g = 1
    raw.db = is32Bit ? 1 : 0
    raw.l = is64BitCode ? 1 : 0
    return raw
  }
}
