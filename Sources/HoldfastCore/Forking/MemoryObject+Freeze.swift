internal import Synchronization

/// Freezing: how an object shares the pages that it has now with a fork's child.
///
/// The pages move to a new object below this one, together with what is below and the pager; the
/// child gets a shadow of that new object, and whichever side writes to a page first copies it up.
/// This object keeps its references, mappings and shadows. So a segment and all its mappings, also
/// those of other address spaces, are one piece of memory before and after the fork, and once the
/// child has gone, `collapse` moves the pages back. (FreeBSD's `vm_object_shadow` puts a shadow
/// above for each entry that writes, so entries of one object part at a fork.)
///
/// Wired pages must not fault, so they stay in this object and the new one gets copies of them
/// (FreeBSD: `vm_fault_copy_entry`).
extension MemoryObject {
  /// Pages of an object that a fork's child inherits, and the address of the first one.
  struct Inherited {
    let pages: PageRange
    let start: Address
  }

  /// An object for `freeze`, with this one's size and without pages. It is the caller's alone until
  /// then, and may hold copies of wired pages, busy and invalid (`copyWired`).
  func makeFrozen() -> MemoryObject {
    MemoryObject(memory: memory, size: size, head: head, isPrivate: false)
  }

  /// Whether `freeze` would have to copy or to wait. Takes the object's lock.
  ///
  /// - Parameter frozen: the object that has copies already.
  func mustCopyOrWait(_ parts: [Inherited], _ frozen: MemoryObject?) -> Bool {
    lock.withLock { obstacleLocked(parts, frozen) != nil }
  }

  /// What prevents the pages from being frozen now.
  private enum Obstacle {
    /// Pages are copied, moved or wired, which ends without any address space's lock.
    case busy(Event.Ticket)
    /// Wired pages have no copy.
    case wired
  }

  private func obstacleLocked(_ parts: [Inherited], _ frozen: MemoryObject?) -> Obstacle? {
    // The pages of a wire that is under way do not show yet which of them will be wired.
    if mappings.values.contains(where: { $0.isWired && !$0.isEntered }) {
      return .busy(pagesChanged.ticket())
    }
    if pages.busyCount > .zero, hasValidBusyPageLocked() { return .busy(pagesChanged.ticket()) }
    if pages.wiredCount == .zero { return nil }
    return parts.contains { firstWiredLocked(in: $0.pages, missingFrom: frozen) != nil }
      ? .wired : nil
  }

  /// Whether contents are being copied from here or moved. Fresh pages have none yet.
  private func hasValidBusyPageLocked() -> Bool {
    var isBusy = false
    pages.forEach(in: PageRange(.zero, PageIndex(size.rawValue))) { _, state in
      isBusy = state.map { $0.isBusy && $0.isValid } ?? false
      return !isBusy
    }
    return isBusy
  }

  /// The first wired pages of a range that the frozen object has no copy of.
  private func firstWiredLocked(
    in range: PageRange, missingFrom frozen: MemoryObject?
  ) -> (range: PageRange, state: PageState)? {
    var found: (range: PageRange, state: PageState)?
    pages.forEach(in: range) { part, state in
      guard let state, state.wireCount > 0 else { return true }
      guard let frozen else {
        found = (part, state)
        return false
      }
      frozen.lock.withLock {
        frozen.pages.forEach(in: part) { gap, copy in
          guard copy == nil else { return true }
          found = (gap, state.advanced(by: gap.start - part.start))
          return false
        }
      }
      return found == nil
    }
    return found
  }

  /// Copies wired pages into `frozen`, in the largest free blocks. What a guest writes to them
  /// meanwhile may or may not be in the copies. Called without objects' locks; the caller's
  /// reference keeps the object.
  ///
  /// - Throws: resourceShortage, with the address that the part gives to the page.
  /// - Complexity: O(runs), plus the copying.
  func copyWired(_ parts: [Inherited], to frozen: MemoryObject) throws(HoldfastError) {
    for part in parts {
      var rest = part.pages
      while !rest.isEmpty {
        lock.lock()
        guard let (range, state) = firstWiredLocked(in: rest, missingFrom: frozen) else {
          lock.unlock()
          break
        }
        if state.isBusy {
          let ticket = pagesChanged.ticket()
          lock.unlock()
          pagesChanged.wait(since: ticket)
          continue
        }
        // A busy page is neither moved nor freed, even if it is unwired meanwhile.
        pages.update(in: range) { $0.isBusy = true }
        lock.unlock()
        defer { endCopy(range.start, count: range.count) }
        try frozen.fill(range.start, from: FrameRun(state.frame, range.count), part)
        rest = PageRange(range.end, rest.end)
      }
    }
  }

  /// Makes absent pages of a frozen object copies of frames. They are busy and invalid until
  /// `freeze`, so that they are not moved.
  private func fill(
    _ index: PageIndex, from source: FrameRun, _ part: Inherited
  ) throws(HoldfastError) {
    var done = PageCount.zero
    while done < source.count {
      let order = memory.geometry.largestOrder(at: index + done, limit: source.count - done)
      var dirty: [FrameRun] = []
      guard let block = memory.allocateLargest(order: order, dirty: &dirty) else {
        let address = part.start + memory.geometry.bytes(index + done - part.pages.start)
        throw HoldfastError(.resourceShortage, at: address, "no free frame is left")
      }
      memory.store.copy(
        from: FrameRun(source.start + done, block.run.count), to: block.run.start)
      let state = PageState(frame: block.run.start, isValid: false, isBusy: true)
      lock.withLock { pages.insert(block.run.count, at: index + done, state) }
      done += block.run.count
    }
  }

  /// Ends a frozen object that was not used.
  func discardFrozen() {
    abandon(fresh: [PageRange(start: .zero, count: size)], zeroed: false)
    release()
  }

  /// Freezes the object's pages. Called with the lock of an address space that maps the object held
  /// exclusive; waits with it for pages that other address spaces or compaction have busy, and
  /// copies what these have wired since `copyWired`.
  ///
  /// - Parameter frozen: from `makeFrozen`, perhaps with copies of wired pages. Becomes the
  ///   callee's, except where the call throws.
  /// - Returns: the child's object, with the same page numbers, and a reference for the caller.
  /// - Throws: resourceShortage without frames for copies, or where translations cannot be split.
  ///   The object is as it was then.
  /// - Complexity: O(mappings), plus the runs of the pages where some are wired or busy.
  func freeze(
    _ parts: [Inherited], _ frozen: MemoryObject
  ) throws(HoldfastError) -> MemoryObject {
    while true {
      lock.lock()
      switch obstacleLocked(parts, frozen) {
      case .busy(let ticket)?:
        lock.unlock()
        pagesChanged.wait(since: ticket)
      case .wired?:
        lock.unlock()
        try copyWired(parts, to: frozen)
      case nil:
        defer { lock.unlock() }
        return try freezeLocked(frozen)
      }
    }
  }

  private func freezeLocked(_ frozen: MemoryObject) throws(HoldfastError) -> MemoryObject {
    frozen.lock.lock()
    finishCopiesLocked(in: frozen)
    let staying = pages.wiredCount + pages.busyCount
    guard pages.residentCount > staying || pager != nil else {
      defer { frozen.lock.unlock() }
      return standAloneLocked(frozen)
    }
    frozen.lock.unlock()
    let written = mappings.values.filter { !$0.isWired && $0.protection.contains(.write) }
    for record in written { try record.pmap.prepareToSplit(addresses(of: record.pages, record)) }
    for record in written {
      record.pmap.protect(
        addresses(of: record.pages, record), record.protection.subtracting(.write))
    }
    frozen.lock.withLock {
      movePagesLocked(to: frozen)
      frozen.pager = pager
      frozen.backing = backing
      frozen.shadows[ObjectIdentifier(self)] = WeakObject(self)
    }
    if let next = backing?.object {
      next.lock.withLock {
        next.shadows[ObjectIdentifier(self)] = nil
        next.shadows[ObjectIdentifier(frozen)] = WeakObject(frozen)
      }
    }
    pager = nil
    // The reference from `makeFrozen` becomes this object's.
    backing = (frozen, .zero)
    frozen.retain()
    memory.state.chainChanges.wrappingAdd(1, ordering: .sequentiallyConsistent)
    return frozen.makeShadow(size: size, head: head, offset: .zero, isPrivate: isOnlyMapping)
  }

  /// Makes the frozen object the child's own, where there is no page to be shared: it has copies of
  /// the wired pages, and the same object below.
  private func standAloneLocked(_ frozen: MemoryObject) -> MemoryObject {
    frozen.isOnlyMapping = isOnlyMapping
    guard let (next, offset) = backing else { return frozen }
    frozen.backing = (next, offset)
    next.lock.withLock {
      next.references += 1
      next.shadows[ObjectIdentifier(frozen)] = WeakObject(frozen)
    }
    return frozen
  }

  /// Makes the copies of wired pages valid, and frees those of pages that are not wired any more,
  /// which are shared themselves. Needs both objects' locks.
  private func finishCopiesLocked(in frozen: MemoryObject) {
    var stale: [PageRange] = []
    let whole = PageRange(.zero, PageIndex(size.rawValue))
    if frozen.pages.residentCount == .zero { return }
    frozen.pages.forEach(in: whole) { part, copy in
      if copy == nil { return true }
      pages.forEach(in: part) { here, state in
        if state.map({ $0.wireCount == 0 }) ?? true { stale.append(here) }
        return true
      }
      return true
    }
    for range in stale { frozen.removeLocked(range, zeroed: false) }
    frozen.pages.update(in: whole) { state in
      state.isValid = true
      state.isBusy = false
    }
  }

  /// Moves all pages down that are neither wired nor fresh. Needs both objects' locks.
  private func movePagesLocked(to frozen: MemoryObject) {
    if pages.wiredCount == .zero, pages.busyCount == .zero, frozen.pages.residentCount == .zero {
      swap(&pages, &frozen.pages)
      swap(&reservationOwner, &frozen.reservationOwner)
      return
    }
    var moving: [(range: PageRange, state: PageState)] = []
    pages.forEach(in: PageRange(.zero, PageIndex(size.rawValue))) { range, state in
      if let state, state.wireCount == 0, !state.isBusy { moving.append((range, state)) }
      return true
    }
    for (range, state) in moving {
      pages.remove(in: range) { _, _ in }
      frozen.pages.insert(range.count, at: range.start, state)
      // A reservation whose pages would be of two objects ends.
      memory.reservations.endReservations(of: FrameRun(state.frame, range.count))
    }
  }
}
