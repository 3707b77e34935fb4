/// The address space of a guest: which ranges map which parts of which objects, with what
/// protection, wired or not (FreeBSD: `vm_map` and `vmspace`; Linux: `mm_struct`).
///
/// Entries are sorted and do not overlap; a balanced tree has them and the gaps between them
/// (`EntryTree`). All functions may be called from any thread.
///
/// Lock order: `lock` (shared to look up and fault, exclusive to change); then an object's; then
/// either the reservation pool's and a frame domain's, or the pmap's. ARCHITECTURE.md has the whole
/// order.
///
/// A long operation puts entries in transition and unlocks `lock`; other operations that meet such
/// an entry wait for `transitions`. An operation that has entries in transition waits only for
/// entries at higher addresses, so there is no cycle of waits.
///
/// These wait with `lock` held exclusively: `discardLocked`, for busy pages that it frees, which a
/// fault or a compaction has busy; `copyOnWriteLocked`, for copies that faults make into the old
/// top object (`waitForCopies`); and `fork`, for pages that another thread copies or moves, and for
/// wires of the same objects in other address spaces (`freeze`). The threads that they wait for
/// need no lock of this address space to finish.
public final class AddressSpace: @unchecked Sendable {
  /// The addresses that can be mapped (FreeBSD: `vm_map_min`, `vm_map_max`).
  public let bounds: AddressRange
  /// The frames for anonymous memory and for copies.
  public let memory: PhysicalMemory
  /// The translations of the guest. Only this address space and the objects that it maps call it.
  public let pmap: any Pmap
  /// The limit to which user wirings are charged. Other address spaces may share it.
  public let wiredLimit: WiredLimit
  /// How much a fault zeroes or copies at once. A forked child has its parent's.
  public let faultGranularity: FaultGranularity

  let lock = SharedLock()
  /// Announced whenever entries leave transition.
  let transitions = Event()
  /// Protected by `lock`.
  var entries: EntryTree
  /// How many entries are in transition. Protected by `lock`.
  private(set) var entriesInTransition = 0

  /// Creates an address space without mappings (FreeBSD: `vm_map_init`).
  ///
  /// - Parameters:
  ///   - bounds: the addresses that can be mapped, aligned to base pages.
  ///   - memory: the frames for anonymous memory and for copies.
  ///   - pmap: the translations, of which there are none yet; for this address space alone.
  ///   - wiredLimit: the limit to which user wirings are charged.
  ///   - faultGranularity: how much a fault zeroes or copies at once.
  /// - Throws: code `invalidArgument` for bounds that are not aligned.
  public init(
    bounds: AddressRange, memory: PhysicalMemory, pmap: any Pmap, wiredLimit: WiredLimit = .none,
    faultGranularity: FaultGranularity = .basePage
  ) throws(HoldfastError) {
    guard memory.geometry.isPageAligned(bounds) else {
      throw HoldfastError(
        .invalidArgument, operation: "make an address space", range: bounds,
        reason: "its bounds, \(bounds), are not aligned to \(memory.geometry.pageSize)")
    }
    self.bounds = bounds
    self.memory = memory
    self.pmap = pmap
    self.wiredLimit = wiredLimit
    self.faultGranularity = faultGranularity
    entries = EntryTree(bounds: bounds, geometry: memory.geometry)
  }

  deinit {
    if let mapped = mappedPartLocked(of: bounds) { pmap.remove(mapped) }
    entries.visitAll(discardLocked)
  }

  /// The sizes of base pages and superpages.
  public var geometry: Geometry { memory.geometry }

  /// All entries in ascending order, as they are at one moment. Takes the lock shared.
  ///
  /// - Complexity: O(entries).
  public var entryViews: [MapEntryView] {
    lock.withSharedLock {
      var views: [MapEntryView] = []
      views.reserveCapacity(entries.count)
      entries.visitAll { views.append(MapEntryView($0)) }
      return views
    }
  }

  /// The entry that maps an address, or nil where nothing is mapped (FreeBSD:
  /// `vm_map_lookup_entry`). Takes the lock shared.
  ///
  /// - Complexity: O(log entries).
  public func lookup(_ address: Address) -> MapEntryView? {
    lock.withSharedLock {
      entries.entry(at: address).map(MapEntryView.init)
    }
  }

  /// Calls `body` and names the operation in an error that it throws. Costs nothing where it
  /// succeeds.
  @inline(__always)
  func during<Result>(
    _ operation: @autoclosure () -> String, _ range: AddressRange? = nil,
    _ body: () throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    do throws(HoldfastError) {
      return try body()
    } catch {
      throw error.during(operation(), range: range)
    }
  }

  // MARK: With the lock held

  /// The entry that maps an address.
  ///
  /// - Complexity: O(log entries).
  func entryLocked(at address: Address) -> MapEntry? {
    entries.entry(at: address)
  }

  /// Cuts the entry at `position` at both ends of `range` (FreeBSD: `vm_map_clip_start`,
  /// `vm_map_clip_end`). Anonymous memory gets its object first: parts with an object each could
  /// not merge again.
  ///
  /// - Returns: the position of the part within the range.
  /// - Complexity: O(log entries).
  func clipLocked(_ position: EntryTree.Position, to range: AddressRange) -> EntryTree.Position {
    let entry = entries[position]
    if range.contains(entry.range) { return position }
    _ = objectLocked(entry)
    var position = position
    if entry.range.start < range.start { position = splitLocked(entry, at: range.start) }
    guard entries[position].range.end > range.end else { return position }
    let tail = splitLocked(entries[position], at: range.end)
    guard let part = entries.position(before: tail) else {
      preconditionFailure("an entry is missing before its tail")
    }
    return part
  }

  /// - Returns: the position of the part behind `address`.
  private func splitLocked(_ entry: MapEntry, at address: Address) -> EntryTree.Position {
    let tail = entry.split(at: address, geometry)
    let position = entries.insert(tail)
    // The tail first: the object's records must cover all translations at every moment.
    tail.publish(pmap, geometry)
    entry.publish(pmap, geometry)
    return position
  }

  /// Merges adjacent entries that are equal, from the entry before `range` to the one behind it
  /// (FreeBSD: `vm_map_try_merge_entries`).
  ///
  /// - Complexity: O(log entries) for the look-up and for each merge, plus the entries of the range.
  func mergeLocked(around range: AddressRange) {
    let following = entries.position(after: range.start)
    guard let first = entries.position(before: following) ?? following else { return }
    mergeLocked(from: first, to: range.end)
  }

  /// Merges adjacent entries that are equal, from the one at a position to the one that starts at or
  /// contains `end`.
  func mergeLocked(from first: EntryTree.Position, to end: Address) {
    var position = first
    var entry = entries[position]
    while entry.range.start <= end, let behind = entries.position(after: position) {
      let next = entries[behind]
      guard entry.canMerge(with: next, geometry) else {
        position = behind
        entry = next
        continue
      }
      entry.range = AddressRange(from: entry.range.start, to: next.range.end)
      guard let merged = entries.position(before: entries.remove(at: behind)) else {
        preconditionFailure("an entry is missing after a merge")
      }
      position = merged
      entry.publish(pmap, geometry)
      next.withdraw()
      next.object?.release()
    }
  }

  /// The entry's object; anonymous memory gets one first. Pages have the same position in
  /// superpages of that object as their addresses have: at offset 0, a start that is not aligned
  /// would rule superpages out (FreeBSD: the object's `pg_color`). Needs the lock exclusive.
  func objectLocked(_ entry: MapEntry) -> MemoryObject {
    if let object = entry.object { return object }
    let pages = geometry.pages(in: entry.range.length)
    let head = geometry.head(
      at: PageIndex.zero + geometry.pages(in: entry.range.start - .zero), count: pages)
    let object = MemoryObject(memory: memory, size: head + pages, head: head, isPrivate: true)
    entry.object = object
    entry.offset = .zero + head
    entry.publish(pmap, geometry)
    return object
  }

  /// Puts an entry in transition, which is in none. Needs the lock exclusive.
  func beginTransitionLocked(_ entry: MapEntry, _ transition: Transition) {
    precondition(entry.transition == nil, "an entry in transition begins another one")
    entry.transition = transition
    entriesInTransition += 1
  }

  /// Waits, with the lock unlocked, until some entry has left transition. The caller looks entries
  /// up again.
  func waitForTransitionLocked(exclusive: Bool) {
    let ticket = transitions.ticket()
    lock.unlock()
    transitions.wait(since: ticket)
    if exclusive { lock.lockExclusive() } else { lock.lockShared() }
  }

  /// Ends the transition of an operation's entries and merges equal ones. Needs the lock exclusive;
  /// the caller announces `transitions` after it has unlocked it.
  func endTransitionLocked(_ marked: some Collection<MapEntry>, _ range: AddressRange) {
    entriesInTransition -= marked.count
    for entry in marked {
      let wasEntered = entry.isEntered
      entry.transition = nil
      entry.isEntered = true
      entry.publish(pmap, geometry)
      // A fork of another address space may wait for the wire of the object (`freeze`).
      if !wasEntered { entry.object?.pagesChanged.announce() }
    }
    mergeLocked(around: range)
  }

  /// The range from the first to the last address of a range that is mapped; nil if none is.
  func mappedPartLocked(of range: AddressRange) -> AddressRange? {
    var part: AddressRange?
    entries.visit(in: range) { entry in
      let here = entry.range.clamped(to: range)
      part = AddressRange(from: part?.start ?? here.start, to: here.end)
    }
    return part
  }

  /// Releases what an entry has that is no longer in `entries`: its wirings, its pages if only it
  /// can reach them, and its reference. Its translations have been removed: a thread that moves a
  /// page may find its record without them, but not the reverse. Needs the lock exclusive, and
  /// waits with it for busy pages: faults and compaction have them busy, and need only objects' and
  /// pmaps' locks to finish.
  func discardLocked(_ entry: MapEntry) {
    entry.withdraw()
    if entry.isUserWired { wiredLimit.uncharge(entry.range.length) }
    guard let object = entry.object else { return }
    let pages = entry.pages(of: entry.range, geometry)
    if entry.isWired { object.unwire(pages) }
    if object.isPrivate { object.removePages(in: pages) }
    object.release()
  }
}
