internal import Synchronization

extension MemoryObject {
  /// Shortens the shadow chain below this object where possible (FreeBSD: `vm_object_collapse`).
  /// Takes the pages of a backing object that has no other reference, which ends then; bypasses one
  /// of which every page that could be seen is shadowed. Does nothing where the allocator is closed.
  /// Called without objects' locks.
  ///
  /// - Parameter waits: whether to wait for busy pages, for tests; the caller holds no lock at all
  ///   then. Otherwise the chain stays as it is where a page is busy, and a later call tries again.
  /// - Complexity: O(runs of the backing objects).
  package func collapse(waits: Bool = false) {
    while true {
      lock.lock()
      guard references > 0, pager == nil, let (object, offset) = backing else {
        lock.unlock()
        return
      }
      object.lock.lock()
      let outcome = canTake(object, offset) ? collapseLocked(object, offset) : .nothing
      object.lock.unlock()
      lock.unlock()
      switch outcome {
      case .nothing: return
      case .busy(let holder, let ticket):
        guard waits else { return }
        holder.pagesChanged.wait(since: ticket)
      case .collapsed: pagesChanged.announce()
      case .bypassed: object.release()
      }
    }
  }

  /// Whether the backing object has no pager, or one that can be this object's, because the pages
  /// have the same numbers here and nothing else needs it. Needs both objects' locks.
  ///
  /// Never where the allocator is closed: the other side of a fork may have been unable to end its
  /// guest's access to the pages, which would see what is written to them from here. The allocator
  /// was closed then before that side's reference went, so it is asked with the locks held.
  private func canTake(_ below: MemoryObject, _ offset: PageCount) -> Bool {
    if memory.allocator.isClosed { return false }
    if below.pager == nil { return true }
    return below.references == 1 && offset == .zero && below.size == size
  }

  private enum Outcome {
    case nothing
    case busy(MemoryObject, Event.Ticket)
    case collapsed
    /// The caller releases this object's reference to the old backing object.
    case bypassed
  }

  /// Needs both objects' locks.
  private func collapseLocked(_ below: MemoryObject, _ offset: PageCount) -> Outcome {
    // The pages below that could be seen from here.
    let window = PageRange(
      from: PageIndex(min((offset + head).rawValue, below.size.rawValue)),
      to: PageIndex(min((offset + size).rawValue, below.size.rawValue)))
    guard below.references == 1 else { return bypassLocked(below, offset, window) }

    var runs: [(range: PageRange, state: PageState)] = []
    var isBusy = false
    let whole = PageRange(from: .zero, to: PageIndex(below.size.rawValue))
    below.pages.forEach(in: whole) { part, state in
      guard let state else { return true }
      isBusy = isBusy || state.isBusy
      runs.append((part, state))
      return !isBusy
    }
    if isBusy { return .busy(below, below.pagesChanged.ticket()) }
    if !window.isEmpty, hasBusyPageLocked(in: window, offset) {
      return .busy(self, pagesChanged.ticket())
    }

    if pages.residentCount == .zero, offset == .zero, below.size == size, !isOnlyMapping {
      swap(&pages, &below.pages)
      swap(&reservationOwner, &below.reservationOwner)
    } else {
      below.pages.remove(in: whole) { _, _ in }
      let mappedParts = mappedPartsLocked()
      for (range, state) in runs {
        var index = range.start
        while index < range.end {
          let part = PageRange(from: index, to: range.end)
          index = moveUpLocked(part, state.advanced(by: index - range.start), offset, mappedParts)
        }
      }
    }
    pager = below.pager
    below.pager = nil
    adoptLocked(below, offset)
    below.references = 0
    memory.objects.remove(below)
    return .collapsed
  }

  private func hasBusyPageLocked(in window: PageRange, _ offset: PageCount) -> Bool {
    var isBusy = false
    let range = PageRange(
      from: PageIndex(window.start.rawValue - offset.rawValue),
      to: PageIndex(window.end.rawValue - offset.rawValue))
    pages.forEach(in: range) { _, state in
      isBusy = state?.isBusy ?? false
      return !isBusy
    }
    return isBusy
  }

  /// The pages that can be reached, in ascending order: of a private object those that are mapped,
  /// unless the mapping that it was made for is not recorded yet.
  private func mappedPartsLocked() -> [PageRange] {
    guard isOnlyMapping, !mappings.isEmpty else { return [mapped] }
    return mappings.values.map(\.pages).sorted { $0.start < $1.start }
  }

  /// Moves the first part of a run up, as far as it is all absent here, all shadowed here, or all
  /// out of reach: of this object's range, or in a private object of its mappings. Pages of the
  /// latter two kinds are freed.
  ///
  /// - Returns: where the next part starts, in the backing object's indexes.
  private func moveUpLocked(
    _ range: PageRange, _ state: PageState, _ offset: PageCount, _ mappedParts: [PageRange]
  ) -> PageIndex {
    func free(upTo end: PageIndex) -> PageIndex {
      precondition(state.wireCount == 0, "a wired page is shadowed")
      memory.free(FrameRun(state.frame, end - range.start), zeroed: false)
      return end
    }
    let next = mappedParts.partitioningIndex { ($0.end + offset) > range.start }
    guard next < mappedParts.count else { return free(upTo: range.end) }
    let reachable = PageRange(
      from: mappedParts[next].start + offset, to: mappedParts[next].end + offset)
    if range.start < reachable.start { return free(upTo: min(range.end, reachable.start)) }
    let first = PageIndex(range.start.rawValue - offset.rawValue)
    let here = PageRange(
      from: first, to: PageIndex(min(range.end, reachable.end).rawValue - offset.rawValue))
    if let (run, _) = pages.run(at: first, in: here) { return free(upTo: run.end + offset) }
    let gap = pages.gap(at: first, in: here)
    pages.insert(gap.count, at: first, state)
    memory.reservations.rename(
      FrameRun(state.frame, gap.count), to: ObjectIdentifier(reservationOwner), at: first,
      mapped: mapped)
    return gap.end + offset
  }

  /// Bypasses a fully shadowed object: one of which no page can be seen from here.
  private func bypassLocked(
    _ below: MemoryObject, _ offset: PageCount, _ window: PageRange
  ) -> Outcome {
    var isShadowed = true
    for part in mappedPartsLocked() where isShadowed {
      let reachable = PageRange(from: part.start + offset, to: part.end + offset)
      guard reachable.overlaps(window) else { continue }
      below.pages.forEach(in: reachable.clamped(to: window)) { part, state in
        guard state != nil else { return true }
        let here = PageRange(
          from: PageIndex(part.start.rawValue - offset.rawValue),
          to: PageIndex(part.end.rawValue - offset.rawValue))
        pages.forEach(in: here) { _, mine in
          isShadowed = mine.map { $0.isValid && !$0.isBusy } ?? false
          return isShadowed
        }
        return isShadowed
      }
    }
    guard isShadowed else { return .nothing }
    if let next = below.backing?.object { next.lock.withLock { next.references += 1 } }
    adoptLocked(below, offset, isDead: false)
    return .bypassed
  }

  /// Makes the backing object of the backing object this object's own.
  private func adoptLocked(_ below: MemoryObject, _ offset: PageCount, isDead: Bool = true) {
    below.shadows[ObjectIdentifier(self)] = nil
    backing = below.backing.map { ($0.object, $0.offset + offset) }
    defer { memory.state.chainChanges.wrappingAdd(1, ordering: .sequentiallyConsistent) }
    guard let next = below.backing?.object else { return }
    next.lock.withLock {
      next.shadows[ObjectIdentifier(self)] = UnownedObject(self)
      if isDead { next.shadows[ObjectIdentifier(below)] = nil }
    }
    if isDead { below.backing = nil }
  }
}
