/// A range of an address space that maps a part of an object (FreeBSD: `vm_map_entry`).
///
/// The address space's lock protects every field. An entry in transition belongs to the operation
/// that put it there: until it is done no other changes, clips, merges or removes the entry, nor
/// faults on it.
final class MapEntry {
  var range: AddressRange
  /// Nil until the first fault or wiring of anonymous memory.
  var object: MemoryObject?
  /// The object's page that `range.start` maps. Shadow chains will put a private object before
  /// `object` here, at the first write to an entry that needs a copy.
  var offset: PageIndex
  var protection: Protection
  var maximumProtection: Protection
  var inheritance: Inheritance

  /// System wirings nest; user wiring is a single state on top of them.
  var systemWirings: UInt32 = 0
  var isUserWired = false

  /// The operation that has the entry in transition.
  var transition: Transition?

  init(
    range: AddressRange, object: MemoryObject?, offset: PageIndex, protection: Protection,
    maximumProtection: Protection, inheritance: Inheritance
  ) {
    self.range = range
    self.object = object
    self.offset = offset
    self.protection = protection
    self.maximumProtection = maximumProtection
    self.inheritance = inheritance
  }

  var isWired: Bool { isUserWired || systemWirings > 0 }

  /// Where pages of this range lie in the object. `part` lies within the entry.
  func pages(of part: AddressRange, _ geometry: Geometry) -> PageRange {
    PageRange(
      start: offset + geometry.pages(in: part.start - range.start),
      count: geometry.pages(in: part.length))
  }

  /// Cuts the part from `address` on off and returns it as a new entry.
  func split(at address: Address, _ geometry: Geometry) -> MapEntry {
    let tail = MapEntry(
      range: AddressRange(address, range.end), object: object,
      offset: object == nil ? .zero : offset + geometry.pages(in: address - range.start),
      protection: protection, maximumProtection: maximumProtection, inheritance: inheritance)
    tail.systemWirings = systemWirings
    tail.isUserWired = isUserWired
    object?.retain()
    range = AddressRange(range.start, address)
    return tail
  }

  /// Whether this entry and the next one could be a single one.
  func canMerge(with next: MapEntry, _ geometry: Geometry) -> Bool {
    range.end == next.range.start && transition == nil && next.transition == nil
      && object === next.object
      && (object == nil || offset + geometry.pages(in: range.length) == next.offset)
      && protection == next.protection && maximumProtection == next.maximumProtection
      && inheritance == next.inheritance && systemWirings == next.systemWirings
      && isUserWired == next.isUserWired
  }
}

/// The identity of an operation that has entries in transition.
final class Transition {}

/// A map entry as it was at one moment.
public struct MapEntryView: Hashable, Sendable {
  public let range: AddressRange
  /// The object's page that the range starts with; nil where nothing was touched yet.
  public let offset: PageIndex?
  public let protection: Protection
  public let maximumProtection: Protection
  public let inheritance: Inheritance
  public let systemWirings: UInt32
  public let isUserWired: Bool
  public let isInTransition: Bool
}
