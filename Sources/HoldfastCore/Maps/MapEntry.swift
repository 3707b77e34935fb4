/// A range of an address space that maps a part of an object (FreeBSD: `vm_map_entry`).
///
/// The address space's lock protects every field. An entry in transition belongs to the operation
/// that put it there: until it is done no other changes, clips, merges or removes the entry, nor
/// faults on it.
final class MapEntry {
  var range: AddressRange
  /// Nil until the first fault or wiring of anonymous memory.
  var object: MemoryObject?
  /// The object's page that `range.start` maps.
  var offset: PageIndex
  /// The object is others' too: before the first write it gets a shadow of this entry's own
  /// (FreeBSD: `MAP_ENTRY_NEEDS_COPY`). No translation allows writing until then.
  var needsCopy = false
  var protection: Protection
  var maximumProtection: Protection
  var inheritance: Inheritance

  /// System wirings nest; user wiring is a single state on top of them.
  var systemWirings: UInt32 = 0
  var isUserWired = false

  /// Whether the translations of a wired entry are there: not while it is being wired.
  var isEntered = true

  /// The operation that has the entry in transition.
  var transition: Transition?

  /// The bytes of an entry with its record in the object. A class's fields lie as a tuple's do, behind
  /// the two words of the object's header.
  static let metadataBytes =
    16 + MemoryLayout<Fields>.size + MemoryLayout<(ObjectIdentifier, MappingRecord)>.stride

  private typealias Fields = (
    AddressRange, MemoryObject?, PageIndex, Bool, Protection, Protection, Inheritance, UInt32,
    Bool, Bool, Transition?
  )

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
    tail.needsCopy = needsCopy
    tail.isEntered = isEntered
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
      && needsCopy == next.needsCopy && protection == next.protection
      && maximumProtection == next.maximumProtection
      && inheritance == next.inheritance && systemWirings == next.systemWirings
      && isUserWired == next.isUserWired
  }
}

/// The identity of an operation that has entries in transition.
final class Transition {}
