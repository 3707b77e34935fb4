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
/// Wired pages must not fault, so they stay in this object and the child's object gets copies of
/// them (FreeBSD: `vm_fault_copy_entry`).
extension MemoryObject {
  /// Pages of an object that a fork's child inherits, and the address of the first one.
  struct Inherited {
    let pages: PageRange
    let start: Address
  }

  /// A child's object for `freeze`, with this one's size and without pages. It is the caller's
  /// alone until then, and may hold copies of wired pages, busy and invalid (`copyWired`).
  func makeChild() -> MemoryObject {
    MemoryObject(memory: memory, size: size, head: head, isPrivate: false)
  }

  /// Whether `freeze` would have to copy or to wait. Takes the object's lock.
  ///
  /// - Parameter child: the object that has copies already.
  func mustCopyOrWait(_ parts: [Inherited], _ child: MemoryObject?) -> Bool {
    lock.withLock { obstacleLocked(parts, child) != nil }
  }

  /// Waits or copies once, so that less prevents the pages from being frozen. Called without
  /// objects' locks; the caller's reference keeps the object.
  ///
  /// - Throws: resourceShortage without frames for copies, with the address of the page.
  func prepareToFreeze(_ parts: [Inherited], for child: MemoryObject) throws(HoldfastError) {
    guard let obstacle = lock.withLock({ obstacleLocked(parts, child) }) else { return }
    try overcome(obstacle, parts, child)
  }

  private func overcome(
    _ obstacle: Obstacle, _ parts: [Inherited], _ child: MemoryObject
  ) throws(HoldfastError) {
    switch obstacle {
    case .busy(let ticket): pagesChanged.wait(since: ticket)
    case .wired: try copyWired(parts, to: child)
    }
  }

  /// What prevents the pages from being frozen now.
  private enum Obstacle {
    /// Pages are copied, moved or wired, which ends without any address space's lock.
    case busy(Event.Ticket)
    /// Wired pages have no copy.
    case wired
  }

  private func obstacleLocked(_ parts: [Inherited], _ child: MemoryObject?) -> Obstacle? {
    // The pages of a wire that is under way do not show yet which of them will be wired.
    if mappings.values.contains(where: { $0.isWired && !$0.isEntered }) {
      return .busy(pagesChanged.ticket())
    }
    if pages.busyCount > .zero, hasValidBusyPageLocked() { return .busy(pagesChanged.ticket()) }
    if pages.wiredCount == .zero { return nil }
    return parts.contains { firstWiredLocked(in: $0.pages, missingFrom: child) != nil }
      ? .wired : nil
  }

  /// Whether contents are being copied from here or moved. Fresh pages have none yet.
  private func hasValidBusyPageLocked() -> Bool {
    var isBusy = false
    pages.forEach(in: PageRange(from: .zero, to: PageIndex(size.rawValue))) { _, state in
      isBusy = state.map { $0.isBusy && $0.isValid } ?? false
      return !isBusy
    }
    return isBusy
  }

  /// The first wired pages of a range that the child's object has no copy of.
  private func firstWiredLocked(
    in range: PageRange, missingFrom child: MemoryObject?
  ) -> (range: PageRange, state: PageState)? {
    var found: (range: PageRange, state: PageState)?
    pages.forEach(in: range) { part, state in
      guard let state, state.wireCount > 0 else { return true }
      guard let child else {
        found = (part, state)
        return false
      }
      child.lock.withLock {
        child.pages.forEach(in: part) { gap, copy in
          guard copy == nil else { return true }
          found = (gap, state.advanced(by: gap.start - part.start))
          return false
        }
      }
      return found == nil
    }
    return found
  }

  /// Copies wired pages into a child's object, in the largest free blocks. What a guest writes to
  /// them meanwhile may or may not be in the copies. Called without objects' locks; the caller's
  /// reference keeps the object.
  ///
  /// - Throws: resourceShortage, with the address that the part gives to the page.
  /// - Complexity: O(runs), plus the copying.
  private func copyWired(_ parts: [Inherited], to child: MemoryObject) throws(HoldfastError) {
    for part in parts {
      var rest = part.pages
      while !rest.isEmpty {
        lock.lock()
        guard let (range, state) = firstWiredLocked(in: rest, missingFrom: child) else {
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
        try child.fill(range.start, from: FrameRun(state.frame, range.count), part)
        rest = PageRange(from: range.end, to: rest.end)
      }
    }
  }

  /// Makes absent pages of a child's object copies of frames. They are busy and invalid until
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
        throw memory.shortage.at(address)
      }
      memory.store.copy(
        from: FrameRun(source.start + done, block.run.count), to: block.run.start)
      let state = PageState(frame: block.run.start, isValid: false, isBusy: true)
      lock.withLock { pages.insert(block.run.count, at: index + done, state) }
      done += block.run.count
    }
  }

  /// Ends a child's object that was not used.
  func discardChild() {
    abandon(fresh: [PageRange(start: .zero, count: size)], zeroed: false)
    release()
  }

  /// Freezes the object's pages for a child. Called with the lock of an address space that maps the
  /// object held exclusive; waits with it for pages that other address spaces or compaction have
  /// busy, and copies what these have wired since `prepareToFreeze`.
  ///
  /// - Parameter child: from `makeChild`, perhaps with copies of wired pages. Afterwards it is the
  ///   object of the child's entries, with the same page numbers. It stays as it was where the call
  ///   throws.
  /// - Throws: resourceShortage without frames for copies, where translations cannot be split, where
  ///   the host has refused to end a guest's access, or beyond `longestChain`. The object is as it
  ///   was then; translations may have become read-only.
  /// - Complexity: O(mappings + objects of the chain), plus the runs of the pages where some are
  ///   wired or busy.
  func freeze(_ parts: [Inherited], for child: MemoryObject) throws(HoldfastError) {
    while true {
      lock.lock()
      guard let obstacle = obstacleLocked(parts, child) else {
        defer { lock.unlock() }
        return try freezeLocked(for: child)
      }
      lock.unlock()
      try overcome(obstacle, parts, child)
    }
  }

  private func freezeLocked(for child: MemoryObject) throws(HoldfastError) {
    // Without a page to be shared, the child needs only what is below.
    if pages.residentCount > pages.wiredCount + pages.busyCount || pager != nil {
      try moveBelowLocked()
    }
    child.lock.withLock {
      finishCopiesLocked(in: child)
      child.isOnlyMapping = isOnlyMapping
      child.backing = backing
    }
    guard let below = backing?.object else { return }
    below.lock.withLock {
      below.references += 1
      below.shadows[ObjectIdentifier(child)] = UnownedObject(child)
    }
  }

  /// The most objects of a chain that a fork makes. A look-up takes a frame of the thread's stack
  /// for each of them (`descend`).
  static let longestChain = 1024

  /// - Throws: resourceShortage, where one more object would make the chain too long.
  /// - Complexity: O(objects of the chain). Takes their locks one after the other.
  private func checkChainLocked() throws(HoldfastError) {
    var length = 1
    var next = backing?.object
    while let object = next {
      length += 1
      next = object.lock.withLock { object.backing?.object }
    }
    guard length < Self.longestChain else {
      throw HoldfastError(
        .resourceShortage, "\(Self.longestChain) generations of forks live",
        advice: .other("end forks before more are made"))
    }
  }

  /// Puts a new object below this one, with all pages that are neither wired nor fresh, what is
  /// below now, and the pager.
  ///
  /// - Throws: resourceShortage, where translations cannot be split, where the host has refused to
  ///   end a guest's access, or where the chain would be too long.
  private func moveBelowLocked() throws(HoldfastError) {
    try checkChainLocked()
    // One after the other, since each may use up what another would be told is left. Where one
    // fails, those before it are read-only, and the next write makes them writable again.
    for record in mappings.values where !record.isWired && record.protection.contains(.write) {
      let range = addresses(of: record.pages, record)
      let protection = record.protection.subtracting(.write)
      try record.pmap.prepareToProtect([(range, protection)])
      record.pmap.protect(range, protection)
      // Where the host refused to end a guest's access, that guest may write to the pages still.
      if memory.allocator.isClosed { throw memory.shortage }
    }
    let frozen = MemoryObject(memory: memory, size: size, head: head, isPrivate: false)
    frozen.lock.withLock {
      movePagesLocked(to: frozen)
      frozen.pager = pager
      frozen.backing = backing
      frozen.shadows[ObjectIdentifier(self)] = UnownedObject(self)
    }
    if let next = backing?.object {
      next.lock.withLock {
        next.shadows[ObjectIdentifier(self)] = nil
        next.shadows[ObjectIdentifier(frozen)] = UnownedObject(frozen)
      }
    }
    pager = nil
    backing = (frozen, .zero)
    memory.state.chainChanges.wrappingAdd(1, ordering: .sequentiallyConsistent)
  }

  /// Makes the copies of wired pages valid, and frees those of pages that are not wired any more,
  /// which are shared themselves, or in this object still. Needs both objects' locks.
  private func finishCopiesLocked(in child: MemoryObject) {
    if child.pages.residentCount == .zero { return }
    var stale: [PageRange] = []
    let whole = PageRange(from: .zero, to: PageIndex(size.rawValue))
    child.pages.forEach(in: whole) { part, copy in
      if copy == nil { return true }
      pages.forEach(in: part) { here, state in
        if state.map({ $0.wireCount == 0 }) ?? true { stale.append(here) }
        return true
      }
      return true
    }
    for range in stale { child.removeLocked(range, zeroed: false) }
    child.pages.update(in: whole) { state in
      state.isValid = true
      state.isBusy = false
    }
  }

  /// Moves all pages that are neither wired nor fresh. Needs both objects' locks.
  private func movePagesLocked(to frozen: MemoryObject) {
    if pages.wiredCount == .zero, pages.busyCount == .zero {
      swap(&pages, &frozen.pages)
      swap(&reservationOwner, &frozen.reservationOwner)
      return
    }
    var moving: [(range: PageRange, state: PageState)] = []
    pages.forEach(in: PageRange(from: .zero, to: PageIndex(size.rawValue))) { range, state in
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
