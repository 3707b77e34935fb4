extension AddressSpace {
  /// Makes the page at an address resident and reachable, as a touch of the guest's would (FreeBSD:
  /// `vm_fault`). An absent page becomes one of zeros. Waits while another operation has the entry
  /// in transition or another thread has the page busy.
  ///
  /// - Parameter access: what the guest tried.
  /// - Throws: invalidAddress where nothing is mapped, protectionFailure where the access is not
  ///   allowed, resourceShortage without frames or translations, pagerFailure where the page could
  ///   not be brought in.
  /// - Complexity: O(log entries + objects of the chain). Takes the lock shared, then the objects';
  ///   none while zeroing, copying or paging.
  public func fault(_ address: Address, _ access: Protection) throws(VMError) {
    try fault(address, access, enters: true)
  }

  /// The same, and without `enters` no translation is made: for those who reach the memory by
  /// themselves.
  func fault(_ address: Address, _ access: Protection, enters: Bool) throws(VMError) {
    while true {
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: address, access) else { continue }
      // What is wired is entered, and may not go even for a moment.
      if entry.isWired {
        lock.unlock()
        return
      }
      guard let object = entry.object else {
        lock.unlock()
        makeObject(at: address)
        continue
      }
      let writes = access.contains(.write)
      if writes, entry.needsCopy {
        lock.unlock()
        prepareWrite(at: address)
        continue
      }
      let page = address.roundedDown(to: geometry.pageSize)
      let index = entry.pages(of: AddressRange(page, page + geometry.pageSize), geometry).start
      do throws(VMError) {
        let step = try faultLocked(entry, object, index, writes: writes, enters: enters)
        if try object.advance(step, index) { return }
        switch step {
        case .copy, .zero: if object.hidesBacking { object.collapse(waits: false) }
        default: break
        }
      } catch {
        throw VMError(error.code, at: address, error.reason, errno: error.errno)
      }
    }
  }

  /// Looks the page up and enters it if it is there. Needs the lock shared and lets it go.
  private func faultLocked(
    _ entry: MapEntry, _ object: MemoryObject, _ index: PageIndex, writes: Bool,
    enters: Bool
  ) throws(VMError) -> MemoryObject.FaultStep {
    defer { lock.unlock() }
    let bounds = entry.pages(of: entry.range, geometry)
    return try object.fault(index, in: bounds, writes: writes) { (run, isTop) throws(VMError) in
      guard enters else { return }
      let start = entry.range.start + geometry.bytes(run.index - bounds.start)
      let mayWrite = isTop && !entry.needsCopy
      do throws(VMError) {
        try pmap.enter(
          run.frames, at: start,
          protection: mayWrite ? entry.protection : entry.protection.subtracting(.write),
          wired: false, reach: nil)
      } catch {
        // How far it got is not known, and the page may be freed.
        pmap.remove(AddressRange(start, start + geometry.bytes(run.frames.count)))
        throw error
      }
    }
  }

  /// The entry at an address once it is out of transition, with the lock still held; nil, with the
  /// lock let go, when it has to be looked up again. Lets the lock go when it throws.
  func settledEntryLocked(at address: Address, _ access: Protection) throws(VMError) -> MapEntry? {
    guard let entry = entryLocked(at: address) else {
      lock.unlock()
      throw VMError(.invalidAddress, at: address, "nothing is mapped")
    }
    if entry.transition != nil {
      let ticket = transitions.ticket()
      lock.unlock()
      transitions.wait(since: ticket)
      return nil
    }
    guard access.isSubset(of: entry.protection), !entry.protection.isEmpty else {
      let protection = entry.protection
      lock.unlock()
      throw VMError(
        .protectionFailure, at: address, "the access \(access) is not allowed by \(protection)")
    }
    return entry
  }

  private func makeObject(at address: Address) {
    lock.withExclusiveLock {
      if let entry = entryLocked(at: address), entry.transition == nil { _ = objectLocked(entry) }
    }
  }
}
