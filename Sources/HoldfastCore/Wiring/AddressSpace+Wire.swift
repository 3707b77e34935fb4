extension AddressSpace {
  /// What a wire operation did to one entry that it has in transition.
  private struct Step {
    let entry: MapEntry
    /// The entry was not user-wired and the limit has been charged.
    var isCharged = false
    /// A wiring was added to the entry.
    var isCounted = false
    /// The entry was not wired at all: its pages.
    var target: WireTarget?
  }

  /// Wires a range (FreeBSD: `vm_map_wire`): every page becomes resident, valid, zero where never
  /// written, wired once more, and present in the pmap, and stays so until it is unwired. If that
  /// cannot be had the address space, the objects, the frames and the counters are left as they
  /// were; only pages that were made before the operation had to wait for another one, or that it
  /// maps twice, or that came from a pager, stay resident, unwired.
  ///
  /// A writable entry that needs a copy gets one of every page; of a read-only one the pages below
  /// are wired in place. Missing pages are preallocated in the largest blocks that there are, inserted
  /// busy, zeroed in parallel where dirty, and entered by the run.
  ///
  /// - Throws: invalidAddress for a hole or an inaccessible entry without `holesOK`; resourceShortage
  ///   without frames or translations or over the wired limit; pagerFailure; invalidArgument for a range that
  ///   does not start and end on a page. The error names the address.
  /// - Complexity: O(entries + superpages). Takes the lock exclusive, not while it populates.
  @discardableResult
  public func wire(
    _ range: AddressRange, _ options: WireOptions = .user
  ) throws(HoldfastError) -> WireSummary {
    guard geometry.isPageAligned(range) else {
      throw HoldfastError(.invalidArgument, at: range.start, "a range starts and ends on a page")
    }
    var summary = WireSummary()
    if range.isEmpty { return summary }
    let transition = Transition()
    var steps: [Step] = []
    lock.lockExclusive()
    do throws(HoldfastError) {
      try wireLocked(range, options, transition, &steps, &summary)
    } catch {
      undoLocked(&steps)
      endTransitionLocked(steps.map(\.entry), range)
      lock.unlock()
      transitions.announce()
      throw error
    }
    // Nothing can fail from here on.
    lock.unlock()
    let clock = ContinuousClock()
    let start = clock.now
    finish(&steps)
    for step in steps { step.target?.shortenChain() }
    summary.finishing = clock.now - start
    lock.lockExclusive()
    endTransitionLocked(steps.map(\.entry), range)
    lock.unlock()
    transitions.announce()
    return summary
  }

  /// Goes over the entries of the range, which are put in transition one by one, and populates those
  /// that were not wired. Holds the lock on entry and on return, but not throughout.
  private func wireLocked(
    _ range: AddressRange, _ options: WireOptions, _ transition: Transition,
    _ steps: inout [Step], _ summary: inout WireSummary
  ) throws(HoldfastError) {
    var address = range.start
    while address < range.end {
      let entry = try claimLocked(address, range, options, transition) { finish(&steps) }
      guard let entry else {
        address = addressAfterHoleLocked(address, range)
        continue
      }
      address = entry.range.end
      var step = Step(entry: entry)
      let wasWired = entry.isWired
      summary.wiredPages += geometry.pages(in: entry.range.length)
      if options.contains(.system) {
        guard entry.systemWirings < .max else {
          steps.append(step)
          throw HoldfastError(.resourceShortage, at: entry.range.start, "too many system wirings")
        }
        entry.systemWirings += 1
        step.isCounted = true
      } else if !entry.isUserWired {
        guard wiredLimit.charge(entry.range.length) else {
          steps.append(step)
          throw HoldfastError(
            .resourceShortage, at: entry.range.start,
            "the limit of \(wiredLimit.maximum) that may be wired is reached")
        }
        entry.isUserWired = true
        step.isCharged = true
        step.isCounted = true
      }
      if wasWired {
        summary.residentBefore += geometry.pages(in: entry.range.length)
        steps.append(step)
        continue
      }
      entry.isEntered = false
      var target = WireTarget(entry, objectLocked(entry), geometry)
      entry.publish(pmap, geometry)
      let isPlain = target.object.isPlain
      lock.unlock()
      let failure: HoldfastError?
      do throws(HoldfastError) {
        if options.contains(.faultPath) || !isPlain {
          try populateByFault(&target, &summary) { finish(&steps) }
        } else {
          try populateByPrefault(&target, &summary) { finish(&steps) }
        }
        failure = nil
      } catch {
        failure = error
      }
      lock.lockExclusive()
      step.target = target
      steps.append(step)
      if let failure { throw failure }
    }
  }

  /// Lets others have all pages that the operation has made so far.
  private func finish(_ steps: inout [Step]) {
    for index in steps.indices { steps[index].target?.finish() }
  }

  /// The entry at `address`, cut to the range and put in transition; nil where there is a hole or an
  /// inaccessible entry that may be passed over. Waits while others have the entry in transition,
  /// and calls `willWait` before: they may wait for our busy pages.
  func claimLocked(
    _ address: Address, _ range: AddressRange, _ options: WireOptions, _ transition: Transition,
    willWait: () -> Void
  ) throws(HoldfastError) -> MapEntry? {
    while true {
      let position = positionLocked(after: address)
      guard position < entries.count, entries[position].range.start <= address else {
        if options.contains(.holesOK) { return nil }
        throw HoldfastError(.invalidAddress, at: address, "nothing is mapped")
      }
      let entry = entries[position]
      if entry.transition != nil {
        willWait()
        waitForTransitionLocked(exclusive: true)
        continue
      }
      let isAccessible =
        !entry.protection.isDisjoint(with: [.read, .execute])
        && (!options.contains(.write) || entry.protection.contains(.write))
      guard isAccessible else {
        if options.contains(.holesOK) { return nil }
        throw HoldfastError(
          .invalidAddress, at: address, "the protection \(entry.protection) does not allow wiring")
      }
      // User-wired, writable and in need of a copy at once is what no entry ever is. The shadow is the
      // whole entry's: parts with one each could not be merged again.
      if !entry.isWired, entry.protection.contains(.write) { copyOnWriteLocked(entry) }
      let claimed = entries[clipLocked(position, to: AddressRange(address, range.end))]
      claimed.transition = transition
      return claimed
    }
  }

  /// Where a look for entries goes on after `claimLocked` found none that it may use.
  func addressAfterHoleLocked(_ address: Address, _ range: AddressRange) -> Address {
    let position = positionLocked(after: address)
    guard position < entries.count else { return range.end }
    let entry = entries[position].range
    return min(range.end, entry.start > address ? entry.start : entry.end)
  }

  /// Takes back what was done to the entries, in reverse. Only entries that are ours are touched.
  private func undoLocked(_ steps: inout [Step]) {
    for index in steps.indices.reversed() {
      steps[index].target?.undo(pmap)
      let entry = steps[index].entry
      if steps[index].isCharged {
        entry.isUserWired = false
        wiredLimit.uncharge(entry.range.length)
      } else if steps[index].isCounted {
        entry.systemWirings -= 1
      }
    }
  }

  /// Gives wirings of a range back (FreeBSD: `vm_map_unwire`). Pages stay resident and entered; the
  /// last unwiring makes them ordinary ones. A user unwiring of what is not user-wired does nothing.
  ///
  /// - Throws: invalidAddress for a hole without `holesOK`; invalidArgument for a system unwiring of
  ///   an entry without one, or for a range that does not start and end on a page. Nothing has
  ///   changed then.
  /// - Complexity: O(entries + superpages). Takes the lock exclusive.
  public func unwire(_ range: AddressRange, _ options: WireOptions = .user) throws(HoldfastError) {
    guard geometry.isPageAligned(range) else {
      throw HoldfastError(.invalidArgument, at: range.start, "a range starts and ends on a page")
    }
    if range.isEmpty { return }
    let transition = Transition()
    var claimed: [MapEntry] = []
    lock.lockExclusive()
    defer {
      endTransitionLocked(claimed, range)
      lock.unlock()
      transitions.announce()
    }
    var address = range.start
    while address < range.end {
      let position = positionLocked(after: address)
      guard position < entries.count, entries[position].range.start <= address else {
        guard options.contains(.holesOK) else {
          throw HoldfastError(.invalidAddress, at: address, "nothing is mapped")
        }
        address = addressAfterHoleLocked(address, range)
        continue
      }
      if entries[position].transition != nil {
        waitForTransitionLocked(exclusive: true)
        continue
      }
      let entry = entries[clipLocked(position, to: AddressRange(address, range.end))]
      entry.transition = transition
      claimed.append(entry)
      if options.contains(.system), entry.systemWirings == 0 {
        guard options.contains(.holesOK) else {
          throw HoldfastError(.invalidArgument, at: address, "no system wiring is to be given back")
        }
      }
      address = entry.range.end
    }
    for entry in claimed { unwireLocked(entry, options) }
  }

  private func unwireLocked(_ entry: MapEntry, _ options: WireOptions) {
    guard entry.isWired else { return }
    if options.contains(.system) {
      if entry.systemWirings == 0 { return }
      entry.systemWirings -= 1
    } else {
      if !entry.isUserWired { return }
      entry.isUserWired = false
      wiredLimit.uncharge(entry.range.length)
    }
    guard !entry.isWired, let object = entry.object else { return }
    entry.publish(pmap, geometry)
    pmap.unwire(entry.range)
    object.unwire(entry.pages(of: entry.range, geometry))
  }
}
