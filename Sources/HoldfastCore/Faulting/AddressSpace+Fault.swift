extension AddressSpace {
  /// Makes the page at an address resident and reachable, as a touch of the guest's would (FreeBSD:
  /// `vm_fault`). An absent page becomes one of zeros. Waits while another operation has the entry
  /// in transition or another thread has the page busy.
  ///
  /// - Parameter access: what the guest tried.
  /// - Returns: what can be reached now, at least the page.
  /// - Throws: invalidAddress where nothing is mapped, protectionFailure where the access is not
  ///   allowed, resourceShortage without frames or translations, pagerFailure where the page could
  ///   not be brought in.
  /// - Complexity: O(log entries + objects of the chain). Takes the lock shared, then the objects';
  ///   none while zeroing, copying or paging.
  @discardableResult
  public func fault(
    _ address: Address, _ access: Protection
  ) throws(HoldfastError) -> FaultResolution {
    try fault(address, access, enters: true, beforeLongWork: {})
  }

  /// The same, for those who answer faults: `beforeLongWork` is called whenever pages are about to be
  /// zeroed, copied, paged in or waited for, without locks.
  @discardableResult
  package func fault(
    _ address: Address, _ access: Protection, beforeLongWork: () -> Void
  ) throws(HoldfastError) -> FaultResolution {
    try fault(address, access, enters: true, beforeLongWork: beforeLongWork)
  }

  /// The same, and without `enters` no translation is made: for those who reach the memory by
  /// themselves.
  @discardableResult
  func fault(
    _ address: Address, _ access: Protection, enters: Bool, beforeLongWork: () -> Void = {}
  ) throws(HoldfastError) -> FaultResolution {
    let page = address.roundedDown(to: geometry.pageSize)
    var work = FaultResolution.Work.none
    while true {
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: address, access, beforeWaiting: beforeLongWork)
      else { continue }
      // What is wired is entered, and may not go even for a moment.
      if entry.isWired {
        defer { lock.unlock() }
        let range = AddressRange(page, page + geometry.pageSize)
        pmap.refresh(range)
        return FaultResolution(range: range, work: .none)
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
      let index = entry.pages(of: AddressRange(page, page + geometry.pageSize), geometry).start
      do throws(HoldfastError) {
        let claim = try faultLocked(entry, object, index, writes: writes, enters: enters)
        switch claim {
        case .resident(let found):
          let start = Address(page.rawValue - geometry.bytes(index - found.range.start).rawValue)
          return FaultResolution(
            range: AddressRange(start, start + geometry.bytes(found.range.count)),
            work: found.isNew ? .zeroed : work)
        case .failed: break
        default: beforeLongWork()
        }
        try object.advance(claim)
        switch claim {
        case .fresh: work = .zeroed
        case .copy: work = .copied
        case .paged: work = .paged
        default: continue
        }
        if work != .paged, object.hidesBacking { object.collapse(waits: false) }
      } catch {
        throw error.at(address)
      }
    }
  }

  /// Looks the page up and enters it if it is there. Needs the lock shared and lets it go.
  private func faultLocked(
    _ entry: MapEntry, _ object: MemoryObject, _ index: PageIndex, writes: Bool,
    enters: Bool
  ) throws(HoldfastError) -> PageClaim {
    defer { lock.unlock() }
    let bounds = entry.pages(of: entry.range, geometry)
    return try object.claimForFault(
      index, in: bounds, writes: writes, granularity: enters ? faultGranularity : .basePage
    ) { (run, isTop) throws(HoldfastError) in
      guard enters else { return }
      let start = entry.range.start + geometry.bytes(run.index - bounds.start)
      let mayWrite = isTop && !entry.needsCopy
      do throws(HoldfastError) {
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
  func settledEntryLocked(
    at address: Address, _ access: Protection, beforeWaiting: () -> Void = {}
  ) throws(HoldfastError) -> MapEntry? {
    guard let entry = entryLocked(at: address) else {
      lock.unlock()
      throw HoldfastError(.invalidAddress, at: address, "nothing is mapped")
    }
    if entry.transition != nil {
      let ticket = transitions.ticket()
      lock.unlock()
      beforeWaiting()
      transitions.wait(since: ticket)
      return nil
    }
    guard access.isSubset(of: entry.protection), !entry.protection.isEmpty else {
      let protection = entry.protection
      lock.unlock()
      throw HoldfastError(
        .protectionFailure, at: address, "the access \(access) is not allowed by \(protection)")
    }
    return entry
  }

  /// What may become of a page whose fault failed.
  package enum Refusal: Sendable {
    /// `body` was called.
    case refused
    /// It is wired, and to be left as it is.
    case wired
    /// The cause is gone, or may be: fault again.
    case changed
  }

  /// Makes a page one that cannot be had, unless it has become one that can be since a fault of it failed.
  /// While `body` is called nobody maps, wires or unmaps it. Takes the lock shared.
  package func refuse(
    _ address: Address, _ access: Protection, after error: HoldfastError, _ body: () -> Void
  ) -> Refusal {
    lock.withSharedLock {
      if let entry = entryLocked(at: address) {
        if entry.transition != nil { return .changed }
        if entry.isWired { return .wired }
        let isAllowed = access.isSubset(of: entry.protection) && !entry.protection.isEmpty
        // Without the entry, or the permission, the fault failed for want of that.
        let wanted: [HoldfastError.Code] = [.invalidAddress, .protectionFailure]
        if isAllowed, wanted.contains(error.code) { return .changed }
      }
      body()
      return .refused
    }
  }

  private func makeObject(at address: Address) {
    lock.withExclusiveLock {
      if let entry = entryLocked(at: address), entry.transition == nil { _ = objectLocked(entry) }
    }
  }
}
