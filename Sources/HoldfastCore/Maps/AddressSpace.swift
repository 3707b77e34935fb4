/// The address space of a guest: which ranges map which parts of which objects, with what
/// protection, wired or not (FreeBSD: `vm_map` and `vmspace`).
///
/// Entries are kept sorted and do not overlap. Look-ups are O(log n) in the entries; what inserts
/// or removes one moves the references behind it, 8 bytes each.
///
/// Locks, in this order: `lock` (shared to look up and fault, exclusive to change), then an
/// object's, then the frame allocator's, then the pmap's. Operations that take long put entries in
/// transition and let the lock go; who meets such an entry waits for `transitions`. Whoever holds
/// entries in transition waits only for entries at higher addresses, so nobody waits in a circle.
public final class AddressSpace: @unchecked Sendable {
  /// The addresses that can be mapped.
  public let bounds: AddressRange
  /// Where the frames of anonymous memory come from.
  public let memory: PhysicalMemory
  /// What the guest reaches. Only this address space calls it.
  public let pmap: any Pmap
  /// What user wirings are charged to, perhaps together with those of other address spaces.
  public let wiredLimit: WiredLimit
  /// How much a fault zeroes or copies at once. A fork's is the parent's.
  public let faultGranularity: FaultGranularity

  let lock = SharedLock()
  /// Announced whenever entries leave transition.
  let transitions = Event()
  /// Protected by `lock`.
  var entries: [MapEntry] = []

  /// An empty address space. `bounds` is aligned to base pages.
  public init(
    bounds: AddressRange, memory: PhysicalMemory, pmap: any Pmap, wiredLimit: WiredLimit = .none,
    faultGranularity: FaultGranularity = .basePage
  ) {
    precondition(
      memory.geometry.isPageAligned(bounds), "an address space starts and ends on a page")
    self.bounds = bounds
    self.memory = memory
    self.pmap = pmap
    self.wiredLimit = wiredLimit
    self.faultGranularity = faultGranularity
  }

  deinit {
    for entry in entries { discardLocked(entry) }
  }

  public var geometry: Geometry { memory.geometry }

  /// All entries in ascending order. Takes the lock shared.
  public var entryViews: [MapEntryView] {
    lock.withSharedLock {
      entries.map(MapEntryView.init)
    }
  }

  /// The entry that maps an address, or nil (FreeBSD: `vm_map_lookup_entry`). Takes the lock shared.
  ///
  /// - Complexity: O(log entries).
  public func lookup(_ address: Address) -> MapEntryView? {
    lock.withSharedLock {
      entryLocked(at: address).map(MapEntryView.init)
    }
  }

  // MARK: With the lock held

  /// The position of the first entry that ends after `address`.
  func positionLocked(after address: Address) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].range.end > address { high = middle } else { low = middle + 1 }
    }
    return low
  }

  func entryLocked(at address: Address) -> MapEntry? {
    let position = positionLocked(after: address)
    guard position < entries.count, entries[position].range.contains(address) else { return nil }
    return entries[position]
  }

  /// Cuts the entry at `position` at both ends of `range`, so that it lies within (FreeBSD:
  /// `vm_map_clip_start`, `vm_map_clip_end`). Anonymous memory gets its object first, for with one
  /// each the parts could not be merged again.
  ///
  /// - Returns: the position of the part within the range.
  func clipLocked(_ position: Int, to range: AddressRange) -> Int {
    var position = position
    if !range.contains(entries[position].range) { _ = objectLocked(entries[position]) }
    if entries[position].range.start < range.start {
      splitLocked(position, at: range.start)
      position += 1
    }
    if entries[position].range.end > range.end { splitLocked(position, at: range.end) }
    return position
  }

  private func splitLocked(_ position: Int, at address: Address) {
    let tail = entries[position].split(at: address, geometry)
    entries.insert(tail, at: position + 1)
    // The tail first: at no time may the object know less than all of its translations.
    tail.publish(pmap, geometry)
    entries[position].publish(pmap, geometry)
  }

  /// Makes single entries of neighbours that are alike, from the entry before `range` to the one
  /// behind it (FreeBSD: `vm_map_try_merge_entries`).
  func mergeLocked(around range: AddressRange) {
    var position = max(0, positionLocked(after: range.start) - 1)
    while position + 1 < entries.count, entries[position].range.start <= range.end {
      let next = entries[position + 1]
      guard entries[position].canMerge(with: next, geometry) else {
        position += 1
        continue
      }
      entries[position].range = AddressRange(entries[position].range.start, next.range.end)
      entries.remove(at: position + 1)
      entries[position].publish(pmap, geometry)
      next.withdraw()
      next.object?.release()
    }
  }

  /// Gives an entry of anonymous memory its object, in which pages lie as their addresses do in
  /// superpages: at offset 0 a start that is not aligned would rule superpages out (FreeBSD: the
  /// object's `pg_color`). Needs the lock exclusive.
  func objectLocked(_ entry: MapEntry) -> MemoryObject {
    if let object = entry.object { return object }
    let superpage = geometry.size(ofLevel: geometry.superpageLevels)
    let start = entry.range.start
    let offset = geometry.pages(in: start - start.roundedDown(to: superpage))
    let object = MemoryObject(
      memory: memory, size: offset + geometry.pages(in: entry.range.length), head: offset,
      isPrivate: true)
    entry.object = object
    entry.offset = .zero + offset
    entry.publish(pmap, geometry)
    return object
  }

  /// Waits, with the lock let go, until some entry has left transition. The caller looks everything
  /// up again.
  func waitForTransitionLocked(exclusive: Bool) {
    let ticket = transitions.ticket()
    lock.unlock()
    transitions.wait(since: ticket)
    if exclusive { lock.lockExclusive() } else { lock.lockShared() }
  }

  /// Ends an operation's hold on its entries: clears the marks and merges what is alike. Needs the
  /// lock exclusive; the caller announces `transitions` once it has let it go.
  func endTransitionLocked(_ marked: [MapEntry], _ range: AddressRange) {
    for entry in marked {
      entry.transition = nil
      entry.isEntered = true
      entry.publish(pmap, geometry)
    }
    mergeLocked(around: range)
  }

  /// Takes away what an entry that is not in the list any more has: its wirings, its translations,
  /// its pages if nobody else can reach them, its reference.
  func discardLocked(_ entry: MapEntry) {
    // Under one hold of the lock, for a page that moves meanwhile must find either both or neither.
    if let object = entry.object {
      object.lock.withLock {
        object.mappings[ObjectIdentifier(entry)] = nil
        pmap.remove(entry.range)
      }
    } else {
      pmap.remove(entry.range)
    }
    if entry.isUserWired { wiredLimit.uncharge(entry.range.length) }
    guard let object = entry.object else { return }
    let pages = entry.pages(of: entry.range, geometry)
    if entry.isWired { object.unwire(pages) }
    if object.isPrivate { object.removePages(in: pages) }
    object.release()
  }
}
