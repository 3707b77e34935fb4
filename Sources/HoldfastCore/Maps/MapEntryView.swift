/// A map entry as it was at one moment.
public struct MapEntryView: Hashable, Sendable {
  public let range: AddressRange
  /// The object's page that the range starts with; nil where nothing was touched yet.
  public let offset: PageIndex?
  /// A write makes a copy first.
  public let needsCopy: Bool
  public let protection: Protection
  public let maximumProtection: Protection
  public let inheritance: Inheritance
  public let systemWirings: UInt32
  public let isUserWired: Bool
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

  /// Whether it is wired by anybody.
  public var isWired: Bool { isUserWired || systemWirings > 0 }
}
