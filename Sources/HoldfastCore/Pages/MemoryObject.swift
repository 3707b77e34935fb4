/// Memory that can be mapped: an array of pages, each absent, in the making, or resident in a frame
/// (FreeBSD: `vm_object`).
///
/// A page that is absent here is looked for in the backing object, and so on down the shadow chain;
/// one that is absent in all of them comes from the last one's pager, or reads as zero. Only the top
/// object of a chain gets new pages, copies of those below or zeros, so that a page below is never
/// written by way of those above. The object owns the frames of its resident pages and gives them
/// back when its last reference goes.
///
/// What a pmap has for an address is always the topmost resident page of the entry's chain. So when
/// a copy comes to lie above a page, every translation of it by way of the copy's object goes, or is
/// replaced where it is wired: for that an object knows its mappings (`MappingRecord`).
///
/// Lock order: address space, object (top before backing), frame allocator, pmap. No lock is held
/// while frames are zeroed, copied or paged in.
public final class MemoryObject: @unchecked Sendable {
  public let memory: PhysicalMemory
  /// How many pages the object has, resident or not.
  public let size: PageCount
  /// Pages at the start that no mapping has, before the first one that lies in a superpage as its
  /// address does.
  let head: PageCount
  /// Made by an address space for one mapping, so that nobody else can reach a page of it: what is
  /// unmapped may be freed at once (FreeBSD: `OBJ_ONEMAPPING`).
  ///
  /// Protected by `lock`. A fork makes it false, the end of all but one of the copies true again.
  private var isOnlyMapping: Bool
  /// Where page 0's frame is or would be, modulo 2^64, if the frames have to lie as the pages do
  /// (`PhysicalMemory.placed`). Protected by `lock`.
  var placement: UInt64?
  /// Where absent pages come from, if not from a backing object and not zero.
  let pager: (any Pager)?

  /// Protects all that follows. Functions whose name ends in `Locked` need it held.
  let lock = Lock()
  /// Announced when busy pages are busy no longer.
  let pagesChanged = Event()
  /// The resident pages.
  var pages: PageTree
  /// Map entries, handles and shadows that refer to the object; the pages go with the last one.
  var references = 1
  /// The next object of the shadow chain, and where this one's page 0 lies in it.
  var backing: (object: MemoryObject, offset: PageCount)?
  /// The objects that have this one as their backing object.
  var shadows: [ObjectIdentifier: WeakObject] = [:]
  /// How many faults are making a copy of a page below for this object.
  var copiesUnderWay = 0
  /// The map entries that have this object on top.
  var mappings: [ObjectIdentifier: MappingRecord] = [:]

  /// An object of absent pages, with one reference that the caller gives back by `release`.
  public convenience init(memory: PhysicalMemory, size: PageCount) {
    self.init(memory: memory, size: size, isPrivate: false)
  }

  /// An object whose absent pages come from a pager, with one reference.
  public convenience init(memory: PhysicalMemory, size: PageCount, pager: any Pager) {
    self.init(memory: memory, size: size, isPrivate: false, pager: pager)
  }

  init(
    memory: PhysicalMemory, size: PageCount, head: PageCount = .zero, isPrivate: Bool,
    pager: (any Pager)? = nil
  ) {
    self.memory = memory
    self.size = size
    self.head = head
    isOnlyMapping = isPrivate
    self.pager = pager
    pages = PageTree(size: size, superpageLevels: memory.geometry.superpageLevels)
    memory.objects.add(self)
  }

  deinit {
    precondition(references == 0, "an object goes while something refers to it")
    memory.objects.remove(ObjectIdentifier(self))
  }

  /// Adds a reference (FreeBSD: `vm_object_reference`).
  public func retain() {
    lock.withLock {
      precondition(references > 0, "a dead object is referred to")
      references += 1
    }
  }

  /// Gives a reference back; the last one frees every page and gives the backing object's reference
  /// back (FreeBSD: `vm_object_deallocate`). Where the last one but one goes and that is a shadow's,
  /// the shadow takes the pages over.
  public func release() {
    var object = self
    while true {
      object.lock.lock()
      precondition(object.references > 0, "an object is released too often")
      object.references -= 1
      let references = object.references
      let shadow = object.shadows.count == 1 ? object.shadows.values.first?.object : nil
      object.lock.unlock()
      // An address space's lock may be held, which the holder of a busy page may want: no waiting.
      if references == 1 { shadow?.collapse(waits: false) }
      if references > 0 { return }
      object.removePages(in: PageRange(.zero, PageIndex(object.size.rawValue)))
      guard let next = object.lock.withLock({ object.detachLocked() }) else { return }
      object = next
    }
  }

  /// Puts a new object above this one, which the new one then refers to (FreeBSD: `vm_object_shadow`).
  /// The caller's reference passes to the shadow.
  ///
  /// - Parameters:
  ///   - head: the shadow's first pages, that are never mapped.
  ///   - offset: where the shadow's page 0 lies in this object.
  func makeShadow(size: PageCount, head: PageCount, offset: PageCount) -> MemoryObject {
    let shadow = MemoryObject(memory: memory, size: size, head: head, isPrivate: true)
    shadow.backing = (self, offset)
    lock.withLock { shadows[ObjectIdentifier(shadow)] = WeakObject(shadow) }
    return shadow
  }

  /// Lets go of the backing object; its reference passes to the caller.
  func detachLocked() -> MemoryObject? {
    guard let next = backing?.object else { return nil }
    backing = nil
    next.lock.withLock { next.shadows[ObjectIdentifier(self)] = nil }
    return next
  }

  /// Whether nobody but the one mapping can reach a page.
  var isPrivate: Bool { lock.withLock { isOnlyMapping } }

  /// From now on others may reach the pages too.
  func share() {
    lock.withLock { isOnlyMapping = false }
  }

  /// Makes the object the sole caller's, if nobody else refers to it; true if so.
  func claimIfAlone() -> Bool {
    lock.withLock {
      guard references == 1, pager == nil else { return false }
      isOnlyMapping = true
      return true
    }
  }

  /// Whether there is a backing object and every page that can be mapped is here: the backing object
  /// is of no use any more.
  var hidesBacking: Bool {
    lock.withLock { backing != nil && pages.residentCount + head >= size }
  }

  /// How many pages are resident. Takes the object's lock.
  public var residentCount: PageCount { lock.withLock { pages.residentCount } }

  /// The state of a page, or nil if it is absent. Takes the object's lock.
  public func state(of index: PageIndex) -> PageState? {
    if index.rawValue >= size.rawValue { return nil }
    return lock.withLock { pages[index] }
  }

  /// Calls `body` with each run of resident pages of the range, in order, under the object's lock.
  public func forEachResident(in range: PageRange, _ body: (PageRange, PageState) -> Void) {
    let end = PageIndex(min(range.end.rawValue, size.rawValue))
    if range.start >= end { return }
    lock.withLock {
      pages.forEach(in: PageRange(range.start, end)) { part, state in
        if let state { body(part, state) }
        return true
      }
    }
  }

  /// The bytes of the page tree. Takes the object's lock.
  public var metadata: ByteCount { lock.withLock { pages.metadata } }

  /// Whether the object is the whole of its chain and has no pager: absent pages are zero.
  var isPlain: Bool { lock.withLock { backing == nil && pager == nil } }

  /// Frees the pages of a range, which are not wired, and waits for busy ones (FreeBSD:
  /// `vm_object_page_remove`). No translation may be left. Called without the object's lock.
  func removePages(in range: PageRange) {
    var start = range.start
    while start < range.end {
      lock.lock()
      let busy = firstBusyLocked(in: PageRange(start, range.end))
      let end = busy ?? range.end
      removeLocked(PageRange(start, end), zeroed: false)
      let ticket = pagesChanged.ticket()
      lock.unlock()
      start = end
      if busy != nil { pagesChanged.wait(since: ticket) }
    }
  }

  /// Takes pages out and frees their frames.
  ///
  /// - Parameter zeroed: whether nobody has written to them since they were zeroed.
  func removeLocked(_ range: PageRange, zeroed: Bool) {
    // A superpage that was split page by page lies together still: one call for all of it.
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
