extension AddressSpace {
  /// Resolves a page fault: makes the page at an address resident and enters it (FreeBSD:
  /// `vm_fault`). An absent page becomes zero, or comes from the pager; a shared page is copied for
  /// a write. Waits while another operation has the entry in transition or another thread has the
  /// page busy.
  ///
  /// - Parameter access: the access that faulted.
  /// - Returns: what can be reached now.
  /// - Throws: `invalidAddress` where nothing is mapped, `protectionFailure` where the mapping does
  ///   not allow the access, `resourceShortage` without frames or translations, `pagerFailure`
  ///   where the pager cannot read the page.
  /// - Complexity: O(log entries + objects of the chain). Takes the lock shared, or for the first
  ///   write after a fork exclusive, then the objects'; zeroes, copies and pages in without locks.
  @discardableResult
  public func fault(
    _ address: Address, _ access: Protection
  ) throws(HoldfastError) -> FaultResolution {
    try fault(address, access, beforeLongWork: {})
  }

  /// The same, for a fault handler: calls `beforeLongWork`, without locks, each time before it
  /// zeroes, copies, pages in or waits.
  @discardableResult
  package func fault(
    _ address: Address, _ access: Protection, beforeLongWork: () -> Void
  ) throws(HoldfastError) -> FaultResolution {
    try during("resolve a page fault (\(access))") { () throws(HoldfastError) in
      try resolve(address, access, enters: true, beforeLongWork: beforeLongWork)
    }
  }

  /// Makes a page resident and enters it as a read fault does, ahead of the guest's access. Its
  /// pager is not told of a fault.
  ///
  /// - Returns: the addresses that can be reached now.
  /// - Throws: as `fault`.
  /// - Complexity: as `fault`. Takes its locks.
  package func enterAhead(_ address: Address) throws(HoldfastError) -> AddressRange {
    try during("enter a page ahead of its access") { () throws(HoldfastError) in
      try resolve(address, .read, enters: true, isAhead: true).range
    }
  }

  /// The same, without naming the operation in errors. Without `enters` no translation is made, for
  /// callers that reach the memory otherwise.
  ///
  /// - Parameters:
  ///   - granularity: how much to make at once; nil for the address space's.
  ///   - isAhead: whether no access waits for the page.
  @discardableResult
  func resolve(
    _ address: Address, _ access: Protection, enters: Bool, granularity: FaultGranularity? = nil,
    isAhead: Bool = false, beforeLongWork: () -> Void = {}
  ) throws(HoldfastError) -> FaultResolution {
    let granularity = granularity ?? faultGranularity
    let page = address.roundedDown(to: geometry.pageSize)
    var work = FaultResolution.Work.none
    while true {
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: address, access, beforeWaiting: beforeLongWork)
      else { continue }
      // A wired page is entered, and must stay so at every moment.
      if entry.isWired {
        defer { lock.unlock() }
        let range = AddressRange(from: page, to: page + geometry.pageSize)
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
      let index = entry.pages(of: AddressRange(from: page, to: page + geometry.pageSize), geometry)
        .start
      do throws(HoldfastError) {
        let claim = try faultLocked(
          entry, object, index, writes: writes, enters: enters, isNoted: enters && !isAhead,
          granularity)
        switch claim {
        case .resident(let found):
          let start = Address(page.rawValue - geometry.bytes(index - found.range.start).rawValue)
          return FaultResolution(
            range: AddressRange(from: start, to: start + geometry.bytes(found.range.count)),
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
        if work != .paged, object.canShortenChain { object.collapse() }
      } catch {
        throw error.relocated(to: address)
      }
    }
  }

  /// Claims the page, and enters it if it is resident. Needs the lock shared, and unlocks it.
  private func faultLocked(
    _ entry: MapEntry, _ object: MemoryObject, _ index: PageIndex, writes: Bool,
    enters: Bool, isNoted: Bool, _ granularity: FaultGranularity
  ) throws(HoldfastError) -> PageClaim {
    defer { lock.unlock() }
    let bounds = entry.pages(of: entry.range, geometry)
    return try object.claimForFault(
      index, in: bounds, writes: writes, granularity: granularity, isNoted: isNoted
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
        // How much was entered is not known, and the page may be freed.
        pmap.remove(AddressRange(from: start, to: start + geometry.bytes(run.frames.count)))
        throw error
      }
    }
  }

  /// The entry at an address, if it is not in transition, with the lock still held. Otherwise waits
  /// until an entry leaves transition and returns nil, with the lock unlocked; the caller looks the
  /// entry up again. Unlocks the lock when it throws.
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
        .protectionFailure, at: address,
        "protection \(protection) does not allow the access \(access)")
    }
    return entry
  }

  /// What `refuse` did.
  package enum Refusal: Sendable {
    /// `body` was called.
    case refused
    /// The page is wired, so nothing was done.
    case wired
    /// The cause of the failure is or may be gone, so nothing was done: fault again.
    case changed
  }

  /// Calls `body`, which makes accesses to a page fail, unless the page has changed since a fault
  /// on it failed. No thread maps, wires or unmaps the page meanwhile. Takes the lock shared.
  package func refuse(
    _ address: Address, _ access: Protection, after error: HoldfastError, _ body: () -> Void
  ) -> Refusal {
    lock.withSharedLock {
      if let entry = entryLocked(at: address) {
        if entry.transition != nil { return .changed }
        if entry.isWired { return .wired }
        let isAllowed = access.isSubset(of: entry.protection) && !entry.protection.isEmpty
        // The fault failed because there was no mapping or no permission, and now there is.
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
