/// A map entry as it was at one moment (FreeBSD: `vm_map_entry`; Linux: a line of /proc/PID/maps).
public struct MapEntryView: Hashable, Sendable {
  /// The addresses.
  public let range: AddressRange
  /// The object's page at the start of the range; nil for anonymous memory that was never used.
  public let offset: PageIndex?
  /// Whether the object is shared, so that a write makes a copy (FreeBSD: `MAP_ENTRY_NEEDS_COPY`).
  public let needsCopy: Bool
  /// The accesses that are allowed.
  public let protection: Protection
  /// The accesses that `AddressSpace.protect` may allow.
  public let maximumProtection: Protection
  /// What a child gets when the address space is forked.
  public let inheritance: Inheritance
  /// How many system wirings the entry has.
  public let systemWirings: UInt32
  /// Whether the entry is user-wired.
  public let isUserWired: Bool
  /// Whether a long operation has the entry in transition (FreeBSD: `MAP_ENTRY_IN_TRANSITION`).
  public let isInTransition: Bool

  /// Needs the address space's lock, shared at least.
  init(_ entry: MapEntry) {
    range = entry.range
    offset = entry.object == nil ? nil : entry.offset
    needsCopy = entry.needsCopy
    protection = entry.protection
    maximumProtection = entry.maximumProtection
    inheritance = entry.inheritance
    systemWirings = entry.systemWirings
    isUserWired = entry.isUserWired
    isInTransition = entry.transition != nil
  }

  /// Whether the entry has any wiring.
  public var isWired: Bool { isUserWired || systemWirings > 0 }
}
