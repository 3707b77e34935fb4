public import HoldfastCore

/// A range of this process's memory that a guest has at its own addresses (Linux:
/// KVM_SET_USER_MEMORY_REGION).
public struct MemorySlot: Hashable, Sendable {
  /// What KVM does with a slot.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The flags as KVM has them.
    public let rawValue: UInt32

    /// Creates flags from KVM's bits.
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// KVM records which pages the guest writes (KVM_MEM_LOG_DIRTY_PAGES). For tests: Holdfast does
    /// not read the record.
    package static let logDirty = Flags(rawValue: 1)
    /// The guest may not write; a write exits with `VMExit.memoryFault` (KVM_MEM_READONLY).
    public static let readOnly = Flags(rawValue: 2)
  }

  /// KVM's number of the slot.
  public let number: UInt32
  /// The guest addresses of the slot.
  public let guestRange: AddressRange
  /// The address of its first byte in this process.
  public let hostAddress: UInt64
  /// What KVM does with the slot.
  public let flags: Flags
}
