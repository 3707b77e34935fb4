/// A check that accounts for every frame, page, wiring, reference, charge and translation, from the
/// entries of address spaces down. All of it must hold whenever no operation is under way. For
/// tests, and for a monitor that suspects its memory.
public struct Invariants {
  let memory: PhysicalMemory
  let spaces: [AddressSpace]
  let handles: [MemoryObject]
  let held: PageCount
  var problems: [String] = []
  /// Every object that is reachable, how many references it must have, and how many map entries.
  var objects: [ObjectIdentifier: (object: MemoryObject, references: Int, mappings: Int)] = [:]
  /// How many wired map entries have a page as their topmost one.
  var wirings: [PageKey: Int] = [:]

  struct PageKey: Hashable {
    var object: ObjectIdentifier
    var index: UInt64
  }

  /// Sentences that say which invariants do not hold; empty where all hold.
  ///
  /// - Parameters:
  ///   - memory: the frames that are accounted for.
  ///   - spaces: all address spaces that use the memory. No operation is under way in any.
  ///   - handles: the objects that the caller has references to, one for each reference.
  ///   - held: how many frames the caller has allocated outside of objects.
  /// - Complexity: O(entries + pages). Takes the locks of address spaces, objects, reservations and
  ///   domains.
  public static func problems(
    in memory: PhysicalMemory, spaces: [AddressSpace], handles: [MemoryObject] = [],
    held: PageCount = .zero
  ) -> [String] {
    var check = Invariants(memory: memory, spaces: spaces, handles: handles, held: held)
    check.collect()
    check.checkObjects()
    check.checkFrames()
    check.checkCharges()
    for (number, space) in spaces.enumerated() { check.checkTranslations(space, number) }
    return check.problems
  }

  private init(
    memory: PhysicalMemory, spaces: [AddressSpace], handles: [MemoryObject], held: PageCount
  ) {
    self.memory = memory
    self.spaces = spaces
    self.handles = handles
    self.held = held
  }

  /// Finds the objects and counts what refers to them and wires their pages.
  private mutating func collect() {
    for object in handles { refer(to: object) }
    for object in memory.objects.all {
      for held in object.lock.withLock({ object.holds }) {
        refer(to: object)
        for index in held.start.rawValue..<held.end.rawValue {
          wirings[PageKey(object: ObjectIdentifier(object), index: index), default: 0] += 1
        }
      }
    }
    for space in spaces {
      space.lock.withSharedLock {
        problems += space.entries.problems
        space.entries.visitAll { collect($0, space) }
        if space.entriesInTransition != 0 {
          problems.append("\(space.entriesInTransition) entries are counted in transition")
        }
      }
    }
  }

  private mutating func refer(to object: MemoryObject) {
    let key = ObjectIdentifier(object)
    if objects[key] != nil {
      objects[key]?.references += 1
      return
    }
    objects[key] = (object, 1, 0)
    if let next = object.lock.withLock({ object.backing?.object }) { refer(to: next) }
  }

  private mutating func collect(_ entry: MapEntry, _ space: AddressSpace) {
    if entry.transition != nil { problems.append("\(entry.range) is left in transition") }
    if !entry.isEntered { problems.append("\(entry.range) is left half wired") }
    if entry.isWired, entry.needsCopy {
      problems.append("\(entry.range) is wired and needs a copy")
    }
    guard let object = entry.object else {
      if entry.isWired { problems.append("\(entry.range) is wired without an object") }
      return
    }
    refer(to: object)
    objects[ObjectIdentifier(object)]?.mappings += 1
    checkRecord(of: entry, object, space)
    guard entry.isWired else { return }
    let pages = entry.pages(of: entry.range, space.geometry)
    var covered = PageCount.zero
    var found: [(ObjectIdentifier, PageIndex, PageCount)] = []
    object.forEachTopmost(in: pages) { run, holder, start, _ in
      covered += run.count
      found.append((ObjectIdentifier(holder), start, run.count))
    }
    for (holder, start, count) in found {
      if holder != ObjectIdentifier(object) {
        problems.append("pages \(start) of \(entry.range), which is wired, are below its object")
      }
      for index in start.rawValue..<(start + count).rawValue {
        wirings[PageKey(object: holder, index: index), default: 0] += 1
      }
    }
    if covered != pages.count {
      problems.append("of \(entry.range), which is wired, \(covered.rawValue) pages are resident")
    }
  }

  private mutating func checkRecord(
    of entry: MapEntry, _ object: MemoryObject, _ space: AddressSpace
  ) {
    let record = object.lock.withLock { object.mappings[ObjectIdentifier(entry)] }
    guard let record, record.start == entry.range.start, record.pmap === space.pmap,
      record.pages == entry.pages(of: entry.range, space.geometry),
      record.protection == entry.protection, record.isWired == entry.isWired, record.isEntered
    else {
      problems.append("the object does not know \(entry.range) as it is")
      return
    }
  }

  private mutating func checkCharges() {
    var charges: [ObjectIdentifier: (limit: WiredLimit, bytes: ByteCount)] = [:]
    for space in spaces {
      let limit = space.wiredLimit
      let wired = space.lock.withSharedLock {
        var wired = ByteCount.zero
        space.entries.visitAll { wired += $0.isUserWired ? $0.range.length : .zero }
        return wired
      }
      charges[ObjectIdentifier(limit), default: (limit, .zero)].bytes += wired
    }
    for (limit, bytes) in charges.values where limit.current != bytes {
      problems.append("\(limit.current) are charged and \(bytes) wired")
    }
  }
}
