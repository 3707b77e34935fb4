/// An entry that a wire operation populates while the address space is unlocked, and what the
/// operation has done so far, so that all of it can be finished or undone.
///
/// Fresh pages stay busy and invalid until the whole operation has succeeded: until then no other
/// thread can use, wire or collapse them, so a failure removes them without a trace.
struct WireTarget {
  let object: MemoryObject
  let pages: PageRange
  let start: Address
  let protection: Protection
  /// The entry's identity in the object's mapping records.
  let entry: ObjectIdentifier
  let geometry: Geometry

  /// Pages that the operation made, busy and invalid, entered in the pmap or about to be.
  private(set) var fresh: [PageRange] = []
  /// Pages that the operation has wired and that other threads can use.
  private(set) var wired: [PageRange] = []

  init(_ entry: MapEntry, _ object: MemoryObject, _ geometry: Geometry) {
    self.object = object
    self.geometry = geometry
    pages = entry.pages(of: entry.range, geometry)
    start = entry.range.start
    protection = entry.protection
    self.entry = ObjectIdentifier(entry)
  }

  func address(of index: PageIndex) -> Address { start + geometry.bytes(index - pages.start) }

  func addresses(of range: PageRange) -> AddressRange {
    AddressRange(from: address(of: range.start), to: address(of: range.end))
  }

  /// Records pages that the operation has claimed.
  mutating func add(_ range: PageRange, isFresh: Bool) {
    if isFresh {
      WireTarget.append(range, to: &fresh)
    } else {
      WireTarget.append(range, to: &wired)
    }
  }

  private static func append(_ range: PageRange, to ranges: inout [PageRange]) {
    if let last = ranges.last, last.end == range.start {
      ranges[ranges.count - 1] = PageRange(from: last.start, to: range.end)
    } else {
      ranges.append(range)
    }
  }

  /// Makes the fresh pages valid, wired and not busy. From now on they stay resident even if the
  /// operation fails, because another mapping of the object may write to them.
  mutating func finish() {
    object.finishWire(fresh: fresh, by: entry)
    for range in fresh { WireTarget.append(range, to: &wired) }
    fresh = []
  }

  /// Bypasses objects below of which no page can be seen any more.
  func shortenChain() {
    if object.canShortenChain { object.collapse() }
  }

  /// Undoes the operation: fresh pages are removed, others lose the wiring that they got.
  mutating func undo(_ pmap: any Pmap) {
    for range in fresh { pmap.remove(addresses(of: range)) }
    object.abandon(fresh: fresh, zeroed: false)
    for range in wired {
      pmap.unwire(addresses(of: range))
      object.unwire(range)
    }
    fresh = []
    wired = []
  }
}
