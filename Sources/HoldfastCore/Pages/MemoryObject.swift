/// Memory that can be mapped: an array of pages, each absent, busy, or resident in a frame
/// (FreeBSD: `vm_object`).
///
/// A page that is absent here is looked up in the backing object, and so on down the shadow chain;
/// a page that is absent in all of them comes from the last object's pager, or reads as zero. Only
/// the top object of a chain gets new pages, copies of pages below or zeros, so no write through a
/// mapping changes a page below its top object. The object owns the frames of its resident pages
/// and frees them when its last reference is released.
///
/// A translation is always that of the topmost resident page of the entry's chain. So when a copy
/// is made above a page, every translation of that page through the copy's object or an object
/// above that is removed: for that an object knows its mappings (`MappingRecord`) and its shadows.
///
/// A wired page is in the object that the wired entries map, never below it. So a wiring stays
/// with its page from `wire` to `unwire`, and no copy replaces a wired translation.
///
/// Lock order: address space; object, top before backing; then either the reservation pool and the
/// frame domain, or the pmap. ARCHITECTURE.md has the whole order and every wait with a lock held.
/// Faults and wires zero, copy and page in without locks. `AddressSpace.read` and `write` copy up
/// to 128 KiB under the locks of a chain, and a fork copies wired pages with the map locked.
public final class MemoryObject: @unchecked Sendable {
  /// The frames that new pages get.
  public let memory: PhysicalMemory
  /// How many pages the object has, resident or not.
  public let size: PageCount
  /// Pages at the start that nothing maps: they make the first mapped page's position in a
  /// superpage that of its address.
  let head: PageCount
  /// Whether one mapping, for which an address space made the object, is the only way to reach its
  /// pages, so that they are freed when they are unmapped (FreeBSD: `OBJ_ONEMAPPING`).
  ///
  /// Protected by `lock`. `share` makes it false; `claimIfAlone` makes it true again.
  var isOnlyMapping: Bool
  /// For placed memory (`PhysicalMemory.placed`), the number of the frame that page 0 has or would
  /// have, modulo 2^64: page `n` is in frame `placement + n`. Protected by `lock`.
  var placement: UInt64?
  /// Protects all that follows. Functions whose name ends in `Locked` need it held.
  let lock = Lock()
  /// Announced when busy pages of the object cease to be busy.
  let pagesChanged = Event()
  /// The source of absent pages, where they do not read as zero. An object with a pager has no
  /// backing object. Moves with the pages to the object that a fork puts below (`freeze`).
  var pager: (any Pager)?
  /// The resident pages.
  var pages: PageTree
  /// The owner of the pages' reservations. Moves with the pages where all of them move.
  var reservationOwner = ReservationOwner()
  /// Map entries, handles and shadows that refer to the object. Without any the object is dead and
  /// has no pages.
  var references = 1
  /// The next object of the shadow chain, and this object's page 0 in it (FreeBSD:
  /// `backing_object`, `backing_object_offset`).
  var backing: (object: MemoryObject, offset: PageCount)?
  /// The objects whose backing object this is (FreeBSD: `shadow_head`).
  var shadows: [ObjectIdentifier: UnownedObject] = [:]
  /// Pages that are held (`AddressSpace.hold`), each once for every hold. A held page counts as
  /// wired once more; its frame stays where it is, mapped or not.
  var holds: [PageRange] = []
  /// The number of copies that faults are making for this object.
  var copiesUnderWay = 0
  /// The map entries whose top object this is. Changed by `recordLocked` alone.
  var mappings = MappingIndex()
  /// The pages of all of them; pages that several entries map count for each.
  var mappedCount = PageCount.zero

  /// Creates an object of absent pages that read as zero, with one reference, which the caller
  /// returns by `release` (FreeBSD: `vm_object_allocate`).
  ///
  /// - Parameter size: the number of pages. One of more than 2^62 counts as that; no address space
  ///   can map so many.
  public convenience init(memory: PhysicalMemory, size: PageCount) {
    self.init(memory: memory, size: size, isPrivate: false)
  }

  /// Creates an object whose absent pages come from a pager, with one reference (FreeBSD:
  /// `vm_pager_allocate`).
  ///
  /// - Parameter size: the number of pages. One of more than 2^62 counts as that; no address space
  ///   can map so many.
  public convenience init(memory: PhysicalMemory, size: PageCount, pager: any Pager) {
    self.init(memory: memory, size: size, isPrivate: false, pager: pager)
  }

  init(
    memory: PhysicalMemory, size: PageCount, head: PageCount = .zero, isPrivate: Bool,
    pager: (any Pager)? = nil
  ) {
    let size = min(size, PageTree.largestSize)
    self.memory = memory
    self.size = size
    self.head = head
    isOnlyMapping = isPrivate
    self.pager = pager
    pages = PageTree(size: size, superpageLevels: memory.geometry.superpageLevels)
    memory.objects.add(self)
  }

  deinit {
    precondition(references == 0, "an object ends with references")
  }

  /// Adds a reference (FreeBSD: `vm_object_reference`). Takes the object's lock.
  public func retain() {
    lock.withLock {
      precondition(references > 0, "a dead object gets a reference")
      references += 1
    }
  }

  /// Returns a reference (FreeBSD: `vm_object_deallocate`). The last one frees every page, after
  /// waiting for those that are busy, and returns the object's reference to its backing object.
  /// Where one reference is left and it is a shadow's, the shadow takes the pages over if none is
  /// busy.
  ///
  /// - Complexity: O(runs of the pages). Takes the locks of the object and of those below in turn.
  public func release() {
    var object = self
    while true {
      object.lock.lock()
      precondition(object.references > 0, "an object is released too often")
      object.references -= 1
      let references = object.references
      let shadow = object.shadows.count == 1 ? object.shadows.values.first?.object : nil
      object.lock.unlock()
      // No waiting: the caller may hold an address space's lock.
      if references == 1 { shadow?.collapse() }
      if references > 0 { return }
      object.removePages(in: PageRange(from: .zero, to: PageIndex(object.size.rawValue)))
      object.memory.objects.remove(object)
      guard let next = object.lock.withLock({ object.detachLocked() }) else { return }
      object = next
    }
  }

  /// Puts a new object above this one (FreeBSD: `vm_object_shadow`). The caller's reference to this
  /// object becomes the shadow's.
  ///
  /// - Parameters:
  ///   - head: the shadow's first pages, which nothing maps.
  ///   - offset: the page of this object that is below the shadow's page 0.
  func makeShadow(size: PageCount, head: PageCount, offset: PageCount) -> MemoryObject {
    let shadow = MemoryObject(memory: memory, size: size, head: head, isPrivate: true)
    shadow.backing = (self, offset)
    lock.withLock { shadows[ObjectIdentifier(shadow)] = UnownedObject(shadow) }
    return shadow
  }

  /// Detaches the object from its backing object; the reference to that becomes the caller's.
  func detachLocked() -> MemoryObject? {
    guard let next = backing?.object else { return nil }
    backing = nil
    next.lock.withLock { next.shadows[ObjectIdentifier(self)] = nil }
    return next
  }

  /// Whether only one mapping can reach the pages. Takes the object's lock.
  var isPrivate: Bool { lock.withLock { isOnlyMapping } }

  /// Records that other mappings may reach the pages from now on. Takes the object's lock.
  func share() {
    lock.withLock { isOnlyMapping = false }
  }

  /// Makes the object private again if the caller's reference is the only one, there is no pager,
  /// and no guest may still reach what it has given back (`FrameAllocator.close`). Takes the
  /// object's lock.
  ///
  /// - Returns: whether the object is private to the caller now.
  func claimIfAlone() -> Bool {
    lock.withLock {
      guard references == 1, pager == nil, !memory.allocator.isClosed else { return false }
      isOnlyMapping = true
      return true
    }
  }

  /// Whether `collapse` may shorten the chain: no page of the backing object can be seen, because
  /// every page that can be mapped is resident here, or only this object refers to it. Takes the
  /// locks of both.
  var canShortenChain: Bool {
    lock.withLock {
      guard let (below, _) = backing else { return false }
      // Of a private object no page is mapped twice, and none resident that is not mapped.
      let reachable = isOnlyMapping ? mappedCount : size - head
      return pages.residentCount >= reachable || below.lock.withLock { below.references == 1 }
    }
  }

  /// The number of pages that are resident in this object, busy ones included (FreeBSD:
  /// `resident_page_count`). Takes the object's lock.
  public var residentCount: PageCount { lock.withLock { pages.residentCount } }

  /// The state of a page, or nil if it is absent here (FreeBSD: `vm_page_lookup`). Takes the
  /// object's lock.
  ///
  /// - Complexity: O(height of the page tree).
  public func state(of index: PageIndex) -> PageState? {
    if index.rawValue >= size.rawValue { return nil }
    return lock.withLock { pages[index] }
  }

  /// Calls `body` with each run of pages that are resident in this object and its first page's
  /// state, in ascending order. Holds the object's lock meanwhile; `body` must not call the object.
  ///
  /// - Complexity: O(slots of the range).
  public func forEachResident(in range: PageRange, _ body: (PageRange, PageState) -> Void) {
    let end = PageIndex(min(range.end.rawValue, size.rawValue))
    if range.start >= end { return }
    lock.withLock {
      pages.forEach(in: PageRange(from: range.start, to: end)) { part, state in
        if let state { body(part, state) }
        return true
      }
    }
  }

  /// The size of the page tree. Takes the object's lock.
  public var metadata: ByteCount { lock.withLock { pages.metadata } }

  /// Whether the object has neither a backing object nor a pager, so that absent pages are zero.
  /// Takes the object's lock.
  var isPlain: Bool { lock.withLock { backing == nil && pager == nil } }

  /// Frees the pages of a range, which are not wired and have no translations, and waits for busy
  /// ones (FreeBSD: `vm_object_page_remove`). Those that are held stay until the hold ends. Called
  /// without the object's lock.
  func removePages(in range: PageRange) {
    var start = range.start
    while start < range.end {
      lock.lock()
      let busy = firstBusyLocked(in: PageRange(from: start, to: range.end))
      let end = busy ?? range.end
      for part in partsWithoutHoldsLocked(of: PageRange(from: start, to: end)) {
        removeLocked(part, zeroed: false)
      }
      let ticket = pagesChanged.ticket()
      lock.unlock()
      start = end
      if busy != nil { pagesChanged.wait(since: ticket) }
    }
  }

  /// The parts of a range that are not held, where no page of it is wired.
  private func partsWithoutHoldsLocked(of range: PageRange) -> [PageRange] {
    if holds.isEmpty { return [range] }
    var parts: [PageRange] = []
    pages.forEach(in: range) { part, state in
      if let state, state.wireCount == 0 { parts.append(part) }
      return true
    }
    return parts
  }

  /// Removes pages and frees their frames.
  ///
  /// - Parameter zeroed: whether the frames are known to be zero.
  func removeLocked(_ range: PageRange, zeroed: Bool) {
    // The frames of a superpage that was split are contiguous still: one call frees all of them.
    var run = FrameRun(Frame(0), .zero)
    pages.remove(in: range) { part, state in
      precondition(state.wireCount == 0, "a wired page is freed")
      if state.frame == run.end, run.count > .zero {
        run = FrameRun(run.start, run.count + part.count)
        return
      }
      if run.count > .zero { memory.free(run, zeroed: zeroed) }
      run = FrameRun(state.frame, part.count)
    }
    if run.count > .zero { memory.free(run, zeroed: zeroed) }
  }

  /// The first busy page of a range.
  private func firstBusyLocked(in range: PageRange) -> PageIndex? {
    var found: PageIndex?
    pages.forEach(in: range) { part, state in
      guard let state, state.isBusy else { return true }
      found = part.start
      return false
    }
    return found
  }
}
