/// A range of an address space that maps a part of an object (FreeBSD: `vm_map_entry`; Linux:
/// `vm_area_struct`).
///
/// The address space's lock protects every field. An entry in transition belongs to the operation
/// that put it there: until that is done, no other operation changes, clips, merges or removes the
/// entry, or faults on it.
final class MapEntry {
  var range: AddressRange
  /// The top object; nil for anonymous memory before the first fault or wiring.
  var object: MemoryObject?
  /// The object's page at `range.start`.
  var offset: PageIndex
  /// Whether the object is shared, so that the entry gets a shadow before the first write (FreeBSD:
  /// `MAP_ENTRY_NEEDS_COPY`). No translation allows writing until then.
  var needsCopy = false
  var protection: Protection
  var maximumProtection: Protection
  var inheritance: Inheritance

  /// The number of system wirings, which nest; user wiring is a single state beside them.
  var systemWirings: UInt32 = 0
  var isUserWired = false

  /// Whether the translations of a wired entry exist: false while it is being wired.
  var isEntered = true

  /// The operation that has the entry in transition.
  var transition: Transition?

  /// The bytes of an entry with its record in the object. A class's fields are laid out as a
  /// tuple's, behind the two words of the object's header.
  static let metadataBytes =
    16 + MemoryLayout<Fields>.size + MappingIndex.bytesForEntry

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

  /// The object's pages at a part of the entry's range.
  func pages(of part: AddressRange, _ geometry: Geometry) -> PageRange {
    PageRange(
      start: offset + geometry.pages(in: part.start - range.start),
      count: geometry.pages(in: part.length))
  }

  /// Cuts off the part from `address` on and returns it as a new entry.
  func split(at address: Address, _ geometry: Geometry) -> MapEntry {
    let tail = MapEntry(
      range: AddressRange(from: address, to: range.end), object: object,
      offset: object == nil ? .zero : offset + geometry.pages(in: address - range.start),
      protection: protection, maximumProtection: maximumProtection, inheritance: inheritance)
    tail.needsCopy = needsCopy
    tail.isEntered = isEntered
    tail.systemWirings = systemWirings
    tail.isUserWired = isUserWired
    object?.retain()
    range = AddressRange(from: range.start, to: address)
    return tail
  }

  /// Whether this entry and the next one can become a single one.
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
