internal import CHoldfastKVM
public import Holdfast
public import HoldfastCore
internal import SystemPackage

/// A piece of this process's memory that a guest has as its own (Linux: KVM_SET_USER_MEMORY_REGION).
public struct MemorySlot: Hashable, Sendable {
  /// What KVM does with it.
  public struct Flags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// KVM notes which pages the guest writes (KVM_MEM_LOG_DIRTY_PAGES).
    public static let logDirty = Flags(rawValue: 1)
    /// The guest may not write; an attempt is `VMExit.memoryFault` (KVM_MEM_READONLY).
    public static let readOnly = Flags(rawValue: 2)
  }

  public let number: UInt32
  public let guestRange: AddressRange
  /// Where its first byte lies in this process.
  public let hostAddress: UInt64
  public let flags: Flags
}

extension VirtualMachine {
  /// Where no slot may lie: from the local APIC's page to the pages that KVM uses itself.
  static let reserved = AddressRange(Address(0xfee0_0000), Address(0xff00_0000))

  /// KVM counts the pages of a slot in 31 bits.
  private static let largestSlot = ByteCount.tebibytes(4)

  /// The slots, in ascending order of guest address.
  public var slots: [MemorySlot] {
    lock.withLock { unsafe slotTable.values.map(\.slot) }
      .sorted { $0.guestRange.start < $1.guestRange.start }
  }

  /// Gives the guest a piece of this process's memory. A slot costs about a millisecond: few and large
  /// ones are better. The memory must stay reserved until the slot is removed; what is not accessible
  /// there when the guest touches it is `VMExit.memoryFault`.
  ///
  /// - Parameters:
  ///   - hostAddress: not zero, a multiple of 4 KiB, as are the others.
  ///   - owner: what is kept alive as long as the slot is there.
  /// - Throws: codes `invalidArgument` for what is not aligned, empty, or lies where KVM has its own;
  ///   `alreadyExists` where another slot is; `unsupported`; `resourceShortage`.
  @discardableResult
  public func addSlot(
    guestAddress: Address, hostAddress: UInt64, length: ByteCount, flags: MemorySlot.Flags = [],
    owner: (any AnyObject & Sendable)? = nil
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
      throw refusal("addresses and length are positive multiples of \(page)")
    }
    guard length <= Self.largestSlot,
      let range = AddressRange(start: guestAddress, length: length),
      AddressRange(start: Address(hostAddress), length: length) != nil
    else { throw refusal("it is larger than \(Self.largestSlot) or beyond the last address") }
    guard !range.overlaps(Self.reserved) else {
      throw refusal(
        "\(Self.reserved) is the local APIC's and KVM's own",
        .other("leave \(Self.hole) out, as RAMLayout does"))
    }
    guard capabilities.hasReadOnlySlots || !flags.contains(.readOnly) else {
      throw HoldfastError(
        .unsupported, operation: operation, reason: "this kernel lacks KVM_CAP_READONLY_MEM")
    }
    return try lock.withLock { () throws(HoldfastError) in
      if let other = unsafe slotTable.values.first(where: { $0.slot.guestRange.overlaps(range) }) {
        throw HoldfastError(
          .alreadyExists, operation: operation,
          address: guestAddress, reason: "slot \(other.slot.number) has \(other.slot.guestRange)")
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
      unsafe slotTable[number] = Slot(slot: slot, owner: owner)
      return slot
    }
  }

  /// Gives the guest all of its memory, at the addresses that it has there: guest address `a` is
  /// `memory.hostAddress + a`. The hole from 3 to 4 GiB gets no slot, so what is mapped there the guest
  /// does not reach; `RAMLayout` says where memory goes. Segments may be mapped, wired and unmapped
  /// under the slots at any time. The machine keeps the memory alive.
  ///
  /// - Returns: one slot up to 3 GiB, two up to 4 TiB.
  /// - Throws: as `addSlot`; no slot is left of those that the call made.
  @discardableResult
  public func addSlots(
    of memory: GuestMemory, flags: MemorySlot.Flags = []
  ) throws(HoldfastError) -> [MemorySlot] {
    var made: [MemorySlot] = []
    do throws(HoldfastError) {
      for piece in RAMLayout.outsideHole(AddressRange(.zero, .zero + memory.limit)) {
        var start = piece.start
        while start < piece.end {
          let length = min(piece.end - start, Self.largestSlot)
          made.append(
            try addSlot(
              guestAddress: start, hostAddress: memory.hostAddress + start.rawValue,
              length: length, flags: flags, owner: memory))
          start = start + length
        }
      }
    } catch {
      for slot in made { try removeSlot(slot) }
      throw error
    }
    return made
  }

  /// Takes a slot away, also while processors run: what touches it afterwards is an exit of the kind
  /// `memoryMapped`.
  ///
  /// - Throws: code `invalidArgument` where it is none of this machine's.
  public func removeSlot(_ slot: MemorySlot) throws(HoldfastError) {
    let operation = "remove the slot at \(slot.guestRange.start)"
    // The owner may go with the last reference to it, for which no lock is to be held.
    let removed = try lock.withLock { () throws(HoldfastError) in
      guard let found = unsafe slotTable[slot.number], found.slot == slot else {
        throw HoldfastError(
          .invalidArgument, operation: operation, reason: "it is none of this machine's")
      }
      let status = hf_kvm_set_slot(
        descriptor, slot.number, 0, slot.guestRange.start.rawValue, 0, 0)
      try KVMCalls.check(status, operation, "KVM_SET_USER_MEMORY_REGION")
      return unsafe slotTable.removeValue(forKey: slot.number)
    }
    withExtendedLifetime(removed) {}
  }

  /// The slot that an address lies in.
  func slot(at address: Address) -> MemorySlot? {
    lock.withLock {
      unsafe slotTable.values.first { $0.slot.guestRange.contains(address) }?.slot
    }
  }
}
