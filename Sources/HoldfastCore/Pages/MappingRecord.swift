/// A map entry as the object that it maps knows it, so that the entry's translations can be reached
/// without its address space's lock (Linux: the reverse mapping, `i_mmap`). The object's lock
/// protects the record; the address space updates it whenever the entry changes.
struct MappingRecord {
  let pmap: any Pmap
  /// The first address, and the pages of the object that are mapped from there on.
  var start: Address
  var pages: PageRange
  var protection: Protection
  var isWired: Bool
  /// Whether the wired translations exist: false while the wiring is under way.
  var isEntered: Bool
}

extension MapEntry {
  /// Records the entry in its object as it is now. Needs the address space's lock exclusive.
  func publish(_ pmap: any Pmap, _ geometry: Geometry) {
    guard let object else { return }
    let record = MappingRecord(
      pmap: pmap, start: range.start, pages: pages(of: range, geometry), protection: protection,
      isWired: isWired, isEntered: isEntered)
    object.lock.withLock { object.recordLocked(record, for: ObjectIdentifier(self)) }
  }

  /// Removes the entry's record from its object.
  func withdraw() {
    guard let object else { return }
    object.lock.withLock { object.recordLocked(nil, for: ObjectIdentifier(self)) }
  }
}

extension MemoryObject {
  /// Records what a map entry maps, or nil where it maps nothing of the object any more.
  func recordLocked(_ record: MappingRecord?, for entry: ObjectIdentifier) {
    let old = mappings.set(record, for: entry)
    mappedCount = mappedCount - old + (record?.pages.count ?? .zero)
  }

  /// The addresses that a mapping has for some of its pages.
  func addresses(of pages: PageRange, _ record: MappingRecord) -> AddressRange {
    let geometry = memory.geometry
    return AddressRange(
      from: record.start + geometry.bytes(pages.start - record.pages.start),
      to: record.start + geometry.bytes(pages.end - record.pages.start))
  }
}
