/// Memory that can be mapped: an array of pages, each absent, in the making, or resident in a frame
/// (FreeBSD: `vm_object`).
///
/// Absent pages read as zero. The object owns the frames of its resident pages and gives them back
/// when its last reference goes. A backing object and an offset into it, for shadow chains, will
/// stand beside `pages`; whatever looks a page up goes through `MemoryObject+Wire` and
/// `MemoryObject+Fault`, which is where the walk down the chain belongs.
///
/// Lock order: address space, object, frame allocator, pmap. No lock is held while frames are
/// zeroed.
public final class MemoryObject: @unchecked Sendable {
  public let memory: PhysicalMemory
  /// How many pages the object has, resident or not.
  public let size: PageCount
  /// Made by an address space for one mapping, so that nobody else can reach a page of it: what is
  /// unmapped may be freed at once (FreeBSD: `OBJ_ONEMAPPING`).
  let isPrivate: Bool

  /// Protects all that follows. Functions whose name ends in `Locked` need it held.
  let lock = Lock()
  /// Announced when busy pages are busy no longer.
  let pagesChanged = Event()
  /// The resident pages.
  var pages: PageTree
  /// Map entries and handles that refer to the object; the pages go with the last one.
  private var references = 1

  /// An object of absent pages, with one reference that the caller gives back by `release`.
  public convenience init(memory: PhysicalMemory, size: PageCount) {
    self.init(memory: memory, size: size, isPrivate: false)
  }

  init(memory: PhysicalMemory, size: PageCount, isPrivate: Bool) {
    self.memory = memory
    self.size = size
    self.isPrivate = isPrivate
    pages = PageTree(size: size, superpageLevels: memory.geometry.superpageLevels)
  }

  deinit {
    precondition(references == 0, "an object goes while something refers to it")
  }

  /// Adds a reference (FreeBSD: `vm_object_reference`).
  public func retain() {
    lock.withLock {
      precondition(references > 0, "a dead object is referred to")
      references += 1
    }
  }

  /// Gives a reference back; the last one frees every page (FreeBSD: `vm_object_deallocate`).
  public func release() {
    let isLast = lock.withLock {
      precondition(references > 0, "an object is released too often")
      references -= 1
      return references == 0
    }
    if isLast { removePages(in: PageRange(.zero, PageIndex(size.rawValue))) }
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
    pages.remove(in: range) { part, state in
      precondition(state.wireCount == 0, "a wired page is freed")
      memory.allocator.free(FrameRun(state.frame, part.count), zeroed: zeroed)
    }
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
