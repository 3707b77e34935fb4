extension AddressSpace {
  /// Makes the pages of a range resident and holds them: until the hold ends each keeps its frame,
  /// so that a device or the kernel may access the memory by references of its own, as in
  /// vmsplice(2), io_uring with fixed buffers, O_DIRECT or vhost (FreeBSD:
  /// `vm_fault_quick_hold_pages`; Linux: pin_user_pages(9)).
  ///
  /// Compaction does not move held pages. A fork leaves them to this address space, with what the
  /// device writes, and gives the child copies. Held pages that are unmapped are freed when the
  /// hold ends, and no other guest gets their frames before. Shared pages are copied first, also
  /// for reading. The guest may access held pages as before, and what it may do does not change.
  ///
  /// - Parameters:
  ///   - range: whole pages, all of them mapped.
  ///   - access: what the device will do; the mappings must allow it.
  /// - Returns: the hold. It keeps the objects of the pages, so end it before the guest ends.
  /// - Throws: `invalidArgument` for a range that is not page-aligned; `invalidAddress` where
  ///   nothing is mapped; `protectionFailure` where the access is not allowed; `resourceShortage`
  ///   without frames, or where a page has 65,535 wirings and holds; `pagerFailure`. Nothing is
  ///   held then.
  /// - Complexity: O(runs), plus the pages that have to be made. Takes the lock shared, and
  ///   exclusive for a mapping that has no object of its own yet.
  public func hold(
    _ range: AddressRange, for access: Protection
  ) throws(HoldfastError) -> HeldPages {
    try during("hold \(range)", range) { () throws(HoldfastError) in
      try checkAligned(range)
      let held = HeldPages(range)
      var address = range.start
      do throws(HoldfastError) {
        while address < range.end {
          address = try holdFirst(of: AddressRange(from: address, to: range.end), access, held)
        }
      } catch {
        held.release()
        throw error
      }
      return held
    }
  }

  /// Holds the first pages of a range.
  ///
  /// - Returns: the end of the pages that are held.
  private func holdFirst(
    of range: AddressRange, _ access: Protection, _ held: HeldPages
  ) throws(HoldfastError) -> Address {
    lock.lockShared()
    guard let entry = try settledEntryLocked(at: range.start, access) else { return range.start }
    guard let object = entry.object, !entry.needsCopy else {
      lock.unlock()
      makeOwnObject(at: range.start)
      return range.start
    }
    let part = entry.range.clamped(to: range)
    let pages = entry.pages(of: part, geometry)
    // An entry keeps an object of its own as long as it exists. If it is unmapped meanwhile, the
    // pages are held as if that had come later.
    object.retain()
    lock.unlock()
    do throws(HoldfastError) {
      let count = try object.holdRun(pages)
      held.add(object, PageRange(start: pages.start, count: count))
      return part.start + geometry.bytes(count)
    } catch {
      object.release()
      throw error.relocated(to: range.start)
    }
  }

  /// Gives an entry that has no object, or one that it shares copy-on-write, an object of its own.
  private func makeOwnObject(at address: Address) {
    lock.withExclusiveLock {
      guard let entry = entryLocked(at: address), entry.transition == nil else { return }
      copyOnWriteLocked(entry)
      _ = objectLocked(entry)
    }
  }
}

extension MemoryObject {
  /// Holds the pages at the start of a range, as many as are resident here in one run; copies,
  /// zeroes or pages in the first one where it is not. Called without locks; the caller's reference
  /// keeps the object.
  ///
  /// - Returns: the number of pages.
  fileprivate func holdRun(_ range: PageRange) throws(HoldfastError) -> PageCount {
    while true {
      let held = lock.withLock { () -> PageRange? in
        guard let (run, state) = pages.run(at: range.start, in: range), !state.isBusy,
          state.wireCount < .max
        else { return nil }
        pages.update(in: run) { $0.wireCount += 1 }
        holds.append(run)
        return run
      }
      if let held { return held.count }
      let first = PageRange(start: range.start, count: .one)
      let claim = try claimForFault(range.start, in: first, writes: true) { _, _ in }
      if case .resident(let page) = claim, page.state.wireCount == .max {
        throw HoldfastError(.resourceShortage, "a page is wired or held 65,535 times already")
      }
      try advance(claim)
    }
  }

  /// Ends a hold of pages, and frees those that only the hold has kept. Takes the object's lock.
  func unhold(_ range: PageRange) {
    lock.withLock {
      guard let position = holds.firstIndex(of: range) else {
        preconditionFailure("a hold ends twice")
      }
      holds.swapAt(position, holds.count - 1)
      holds.removeLast()
      pages.update(in: range) { $0.wireCount -= 1 }
      guard isOnlyMapping else { return }
      var unmapped: [PageRange] = []
      forEachUnmappedLocked(in: range) { part in
        pages.forEach(in: part) { run, state in
          if let state, state.wireCount == 0, !state.isBusy { unmapped.append(run) }
          return true
        }
      }
      for run in unmapped { removeLocked(run, zeroed: false) }
    }
  }

  /// Calls `body` with the parts of a range that no entry maps.
  func forEachUnmappedLocked(in range: PageRange, _ body: (PageRange) -> Void) {
    var next = range.start
    mappings.forEach(overlapping: range) { _, record in
      if record.pages.start > next { body(PageRange(from: next, to: record.pages.start)) }
      next = max(next, record.pages.end)
    }
    if next < range.end { body(PageRange(from: next, to: range.end)) }
  }
}
