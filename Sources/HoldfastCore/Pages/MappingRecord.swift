/// What an object has to know of a map entry that has it on top, to reach the entry's translations
/// without its address space's lock. The object's lock protects it; the address space keeps it true
/// whenever the entry changes.
struct MappingRecord {
  let pmap: any Pmap
  /// The first address, and the pages of the object that are mapped from there on.
  var start: Address
  var pages: PageRange
  var protection: Protection
  var isWired: Bool
  /// Whether the wired translations are there: not while the wiring is under way.
  var isEntered: Bool
}

/// An object that may be gone.
struct WeakObject {
  weak var object: MemoryObject?

  init(_ object: MemoryObject) {
    self.object = object
  }
}

extension MapEntry {
  /// Tells the object how the entry is now. Needs the address space's lock exclusive.
  func publish(_ pmap: any Pmap, _ geometry: Geometry) {
    guard let object else { return }
    let record = MappingRecord(
      pmap: pmap, start: range.start, pages: pages(of: range, geometry), protection: protection,
      isWired: isWired, isEntered: isEntered)
    object.lock.withLock { object.mappings[ObjectIdentifier(self)] = record }
  }

  /// Tells the object that the entry maps it no more.
  func withdraw() {
    guard let object else { return }
    object.lock.withLock { object.mappings[ObjectIdentifier(self)] = nil }
  }
}

extension MemoryObject {
  /// The addresses at which a mapping has pages of its own, which all lie within the record's.
  func addresses(of pages: PageRange, _ record: MappingRecord) -> AddressRange {
    let geometry = memory.geometry
    return AddressRange(
      record.start + geometry.bytes(pages.start - record.pages.start),
      record.start + geometry.bytes(pages.end - record.pages.start))
  }
}
