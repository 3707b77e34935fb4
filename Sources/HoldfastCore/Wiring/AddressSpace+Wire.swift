extension AddressSpace {
  /// What a wire operation did to an entry that it has in transition.
  private struct Step {
    let entry: MapEntry
    /// The entry was not user-wired, and the limit has been charged.
    var isCharged = false
    /// A wiring was added to the entry.
    var isCounted = false
    /// The pages of the entry, if it was not wired at all.
    var target: WireTarget?
  }

  /// Wires a range (FreeBSD: `vm_map_wire`; Linux: mlock(2)): every page becomes resident, valid,
  /// zero if it was never written, wired once more and entered in the pmap, and stays so until it
  /// is unwired. A wire that fails leaves the address space, the objects, the frames and the
  /// counters as they were, with one exception: pages that it made before it had to wait for
  /// another operation, or that it maps twice, or that a pager supplied, stay resident and unwired.
  ///
  /// A page that is shared, below the entry's object, is copied first. Absent pages and copies are
  /// allocated in the largest free blocks, inserted busy, zeroed where dirty or copied, in parallel,
  /// and entered run by run. What a pager has is paged in by large pages.
  ///
  /// - Throws: `invalidAddress` for a hole or an inaccessible entry without `holesOK`;
  ///   `resourceShortage` where frames or translations run out or the wired limit would be
  ///   exceeded; `pagerFailure`; `invalidArgument` for a range that is not page-aligned. The error
  ///   has the address that failed.
  /// - Complexity: O(log entries) for each entry of the range, plus its superpages and runs. Takes
  ///   the lock exclusive, but not while it populates.
  @discardableResult
  public func wire(
    _ range: AddressRange, _ options: WireOptions = .user
  ) throws(HoldfastError) -> WireSummary {
    try during("wire \(range)", range) { () throws(HoldfastError) in
      try populateAndWire(range, options)
    }
  }

  private func populateAndWire(
    _ range: AddressRange, _ options: WireOptions
  ) throws(HoldfastError) -> WireSummary {
    try checkAligned(range)
    var summary = WireSummary()
    if range.isEmpty { return summary }
    let transition = Transition()
    var steps: [Step] = []
    lock.lockExclusive()
    do throws(HoldfastError) {
      try wireLocked(range, options, transition, &steps, &summary)
    } catch {
      undoLocked(&steps)
      endTransitionLocked(steps.lazy.map(\.entry), range)
      lock.unlock()
      transitions.announce()
      throw error
    }
    // Nothing can fail from here on.
    lock.unlock()
    let start = Instant.now
    finish(&steps)
    for step in steps { step.target?.shortenChain() }
    summary.finishing = Instant.now - start
    lock.lockExclusive()
    endTransitionLocked(steps.lazy.map(\.entry), range)
    lock.unlock()
    transitions.announce()
    return summary
  }

  /// Puts the entries of the range in transition one by one and populates those that were not
  /// wired. The lock is held on entry and on return, but not throughout.
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
          throw HoldfastError(
            .resourceShortage, at: entry.range.start,
            "the mapping has \(UInt32.max) system wirings already")
        }
        entry.systemWirings += 1
        step.isCounted = true
      } else if !entry.isUserWired {
        guard wiredLimit.charge(entry.range.length) else {
          steps.append(step)
          throw HoldfastError(
            .resourceShortage, at: entry.range.start,
            "\(entry.range.length) more exceed the wired limit of \(wiredLimit.maximum)")
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
      lock.unlock()
      let failure: HoldfastError?
      do throws(HoldfastError) {
        if options.contains(.faultPath) {
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

  /// Finishes all pages that the operation has made so far.
  private func finish(_ steps: inout [Step]) {
    for index in steps.indices { steps[index].target?.finish() }
  }

  /// Puts the entry at `address`, cut to the range, in transition; nil where there is a hole or an
  /// inaccessible entry that may be skipped. Waits while another operation has the entry in
  /// transition, and calls `willWait` before, because that operation may wait for busy pages of
  /// this one.
  func claimLocked(
    _ address: Address, _ range: AddressRange, _ options: WireOptions, _ transition: Transition,
    willWait: () -> Void
  ) throws(HoldfastError) -> MapEntry? {
    while true {
      guard let position = entries.position(after: address),
        entries[position].range.start <= address
      else {
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
          .invalidAddress, at: address,
          "protection \(entry.protection) does not allow wiring"
            + (options.contains(.write) ? " for writing" : ""))
      }
      // No wired entry needs a copy. The shadow is made for the whole entry: parts with a shadow
      // each could not merge again.
      if !entry.isWired { copyOnWriteLocked(entry) }
      let claimed = entries[clipLocked(position, to: AddressRange(from: address, to: range.end))]
      beginTransitionLocked(claimed, transition)
      return claimed
    }
  }

  /// The address at which to go on where `claimLocked` returned nil.
  func addressAfterHoleLocked(_ address: Address, _ range: AddressRange) -> Address {
    guard let position = entries.position(after: address) else { return range.end }
    let entry = entries[position].range
    return min(range.end, entry.start > address ? entry.start : entry.end)
  }

  /// Undoes what the operation did to its entries, in reverse.
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

  /// Returns one wiring of a range (FreeBSD: `vm_map_unwire`; Linux: munlock(2)). Pages stay
  /// resident and entered; without a wiring they are ordinary pages. A user unwiring of an entry
  /// that is not user-wired does nothing. Waits for entries in transition.
  ///
  /// - Throws: `invalidAddress` for a hole without `holesOK`; `invalidArgument` for a system
  ///   unwiring of an entry without system wirings, or for a range that is not page-aligned.
  ///   Nothing has changed then.
  /// - Complexity: O(log entries) for each entry of the range, plus its superpages. Takes the lock
  ///   exclusive.
  public func unwire(_ range: AddressRange, _ options: WireOptions = .user) throws(HoldfastError) {
    try during("unwire \(range)", range) { () throws(HoldfastError) in
      try returnWirings(range, options)
    }
  }

  private func returnWirings(
    _ range: AddressRange, _ options: WireOptions
  ) throws(HoldfastError) {
    try checkAligned(range)
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
      guard let position = entries.position(after: address),
        entries[position].range.start <= address
      else {
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
      let entry = entries[clipLocked(position, to: AddressRange(from: address, to: range.end))]
      beginTransitionLocked(entry, transition)
      claimed.append(entry)
      if options.contains(.system), entry.systemWirings == 0 {
        guard options.contains(.holesOK) else {
          throw HoldfastError(.invalidArgument, at: address, "the mapping has no system wiring")
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
