internal import CHoldfastKVM
public import Holdfast
public import HoldfastCore
internal import SystemPackage

extension VirtualMachine {
  /// The addresses where no slot may be: from the local APIC's page to KVM's own pages.
  static let reserved = AddressRange(from: Address(0xfee0_0000), to: Address(0xff00_0000))

  /// KVM counts the pages of a slot in 31 bits.
  private static let largestSlot = ByteCount.tebibytes(4)

  /// The slots, in ascending order of guest address. Takes the machine's lock.
  public var slots: [MemorySlot] {
    lock.withLock { unsafe slotTable.values.map(\.slot) }
      .sorted { $0.guestRange.start < $1.guestRange.start }
  }

  /// Gives the guest a range of this process's memory (Linux: KVM_SET_USER_MEMORY_REGION). A slot
  /// takes about a millisecond, so use few and large ones. The range must stay reserved until the
  /// slot is removed; a guest's access to a part that is not accessible here exits with
  /// `VMExit.memoryFault`.
  ///
  /// - Parameters:
  ///   - guestAddress: a multiple of 4 KiB.
  ///   - hostAddress: the address in this process, a multiple of 4 KiB, not zero.
  ///   - length: a positive multiple of 4 KiB, up to 4 TiB.
  ///   - flags: what KVM does with the slot.
  ///   - owner: an object that the slot keeps alive.
  /// - Returns: the slot, for `removeSlot`.
  /// - Throws: code `invalidArgument` for addresses or lengths other than these, and where the slot
  ///   overlaps 0xfee00000 to 0xff000000; `alreadyExists` where it overlaps another slot;
  ///   `unsupported` for a read-only slot without KVM_CAP_READONLY_MEM; `resourceShortage` where
  ///   all slots are in use or the host is out of memory; `host` where the request fails otherwise.
  ///   Takes the machine's lock.
  @discardableResult
  public func addSlot(
    guestAddress: Address, hostAddress: UInt64, length: ByteCount, flags: MemorySlot.Flags = [],
    owner: (any AnyObject & Sendable)? = nil
  ) throws(HoldfastError) -> MemorySlot {
    try addSlot(guestAddress, hostAddress, length, flags, owner, served: nil)
  }

  private func addSlot(
    _ guestAddress: Address, _ hostAddress: UInt64, _ length: ByteCount,
    _ flags: MemorySlot.Flags, _ owner: (any AnyObject & Sendable)?, served: GuestMemory?
  ) throws(HoldfastError) -> MemorySlot {
    let operation = "add a slot of \(length) at \(guestAddress)"
    func refusal(_ reason: String, _ advice: Advice? = nil) -> HoldfastError {
      HoldfastError(
        .invalidArgument, operation: operation, address: guestAddress, reason: reason,
        advice: advice)
    }
    let page = ByteCount.kibibytes(4)
    guard guestAddress.isAligned(to: page), length.isMultiple(of: page), length > .zero,
      hostAddress != 0, Address(hostAddress).isAligned(to: page)
    else {
      throw refusal(
        "guest address, host address \(Address(hostAddress)) and length must be multiples of "
          + "\(page), the latter two positive")
    }
    guard length <= Self.largestSlot,
      let range = AddressRange(start: guestAddress, length: length),
      AddressRange(start: Address(hostAddress), length: length) != nil
    else {
      throw refusal("the slot is larger than \(Self.largestSlot) or extends past the last address")
    }
    guard !range.overlaps(Self.reserved) else {
      throw refusal(
        "the slot overlaps \(Self.reserved), which the local APIC and KVM use",
        .other("a layout without \(Self.hole), such as RAMLayout"))
    }
    guard capabilities.hasReadOnlySlots || !flags.contains(.readOnly) else {
      throw HoldfastError(
        .unsupported, operation: operation, reason: "this kernel lacks KVM_CAP_READONLY_MEM")
    }
    return try lock.withLock { () throws(HoldfastError) in
      if let other = unsafe slotTable.values.first(where: { $0.slot.guestRange.overlaps(range) }) {
        throw HoldfastError(
          .alreadyExists, operation: operation,
          address: guestAddress,
          reason: "it overlaps slot \(other.slot.number) of \(other.slot.guestRange)")
      }
      guard
        let number = (0..<UInt32(capabilities.slots)).first(where: {
          unsafe slotTable[$0] == nil
        })
      else {
        throw HoldfastError(
          .resourceShortage, operation: operation,
          reason: "all \(capabilities.slots) slots are in use",
          advice: .other("fewer, larger slots"))
      }
      let status = hf_kvm_set_slot(
        descriptor, number, flags.rawValue, guestAddress.rawValue, hostAddress, length.rawValue)
      try KVMCalls.check(status, operation, "KVM_SET_USER_MEMORY_REGION")
      let slot = MemorySlot(
        number: number, guestRange: range, hostAddress: hostAddress, flags: flags)
      unsafe slotTable[number] = Slot(slot: slot, owner: owner, served: served)
      return slot
    }
  }

  /// Gives the guest all of a guest memory: guest address `a` is at `memory.hostAddress + a`. The
  /// addresses from 3 to 4 GiB get no slot, so the guest cannot access what is mapped there;
  /// `RAMLayout` leaves them free. Segments may be mapped, wired and unmapped while the slots
  /// exist. The machine keeps the memory alive.
  ///
  /// If the memory is for `FaultServing.processors`, this machine's processors serve its first
  /// accesses, provided that the host's KVM reports every one of them and that the machine has no
  /// processors yet; else handler threads serve all of its faults. `GuestMemory.faultServing` says
  /// which.
  ///
  /// - Returns: one slot for memory up to 3 GiB, two up to 4 TiB, more beyond that.
  /// - Throws: as `addSlot`. The call leaves no slot behind then.
  @discardableResult
  public func addSlots(
    of memory: GuestMemory, flags: MemorySlot.Flags = []
  ) throws(HoldfastError) -> [MemorySlot] {
    try addSlots(of: memory, flags: flags, allowing: .all)
  }

  /// The same.
  ///
  /// - Parameters:
  ///   - need: which reports of faults suffice for the programs that will run.
  ///   - reports: how KVM reports faults; nil to find out.
  @discardableResult
  package func addSlots(
    of memory: GuestMemory, flags: MemorySlot.Flags, allowing need: FaultReports,
    reports: FaultReports? = nil
  ) throws(HoldfastError) -> [MemorySlot] {
    // What the monitor writes for an emulated instruction is not in KVM's record.
    let isServed = !flags.contains(.logDirty) && serves(memory, need, reports)
    if !isServed { memory.leaveToHandlerThreads() }
    var made: [MemorySlot] = []
    do throws(HoldfastError) {
      for piece in RAMLayout.outsideHole(AddressRange(from: .zero, to: .zero + memory.limit)) {
        var start = piece.start
        while start < piece.end {
          let length = min(piece.end - start, Self.largestSlot)
          made.append(
            try addSlot(
              start, memory.slotAddress + start.rawValue, length, flags, memory,
              served: isServed ? memory : nil))
          start = start + length
        }
      }
    } catch {
      for slot in made { try removeSlot(slot) }
      throw error
    }
    return made
  }

  /// Whether this machine's processors may serve the faults of a memory. Takes the lock.
  private func serves(
    _ memory: GuestMemory, _ need: FaultReports, _ reports: FaultReports?
  ) -> Bool {
    guard memory.faultServing == .processors, capabilities.hidesInterfaces,
      (reports ?? FaultReports.host) >= need
    else { return false }
    return lock.withLock {
      if unsafe nextProcessor == 0 { unsafe servesFaults = true }
      return unsafe servesFaults
    }
  }

  /// Removes a slot, also while processors run. A later access to its addresses exits with
  /// `VMExit.memoryMapped`.
  ///
  /// - Throws: code `invalidArgument` where the slot is not one of this machine; `host` where the
  ///   request fails. Takes the machine's lock.
  public func removeSlot(_ slot: MemorySlot) throws(HoldfastError) {
    let operation = "remove the slot at \(slot.guestRange.start)"
    // This may be the last reference to the owner, whose deinit must not run with the lock held.
    let removed = try lock.withLock { () throws(HoldfastError) in
      guard let found = unsafe slotTable[slot.number], found.slot == slot else {
        throw HoldfastError(
          .invalidArgument, operation: operation, reason: "it is not a slot of this machine")
      }
      let status = hf_kvm_set_slot(
        descriptor, slot.number, 0, slot.guestRange.start.rawValue, 0, 0)
      try KVMCalls.check(status, operation, "KVM_SET_USER_MEMORY_REGION")
      return unsafe slotTable.removeValue(forKey: slot.number)
    }
    withExtendedLifetime(removed) {}
  }

  /// Returns the slot that contains an address.
  func slot(at address: Address) -> MemorySlot? { entry(at: address)?.slot }

  /// Returns the slot that contains an address, with what it keeps alive.
  func entry(at address: Address) -> Slot? {
    lock.withLock {
      unsafe slotTable.values.first { $0.slot.guestRange.contains(address) }
    }
  }
}
