extension AddressSpace {
  /// Sets what may be done with a range, all of which is mapped (FreeBSD: `vm_map_protect`). Wired
  /// entries have their translations changed at once; where one becomes writable whose pages are
  /// shared with copies, these are copied at once too. Waits for entries in transition.
  ///
  /// - Throws: invalidAddress for a hole, protectionFailure over an entry's maximum,
  ///   invalidArgument for an unaligned range, resourceShortage without frames for the copies or room to
  ///   split translations at the ends of the range. The protection is what it was then.
  /// - Complexity: O(entries), plus the pages that are copied. Takes the lock exclusive, not while
  ///   it copies.
  public func protect(_ range: AddressRange, _ protection: Protection) throws(HoldfastError) {
    guard geometry.isPageAligned(range) else {
      throw HoldfastError(.invalidArgument, at: range.start, "a range starts and ends on a page")
    }
    guard !memory.isPlaced || protection.isSuperset(of: .readWrite) else {
      throw HoldfastError(
        .invalidArgument, at: range.start, "placed memory cannot be protected from its guest")
    }
    if range.isEmpty { return }
    lock.lockExclusive()
    var copied: [MapEntry] = []
    do throws(HoldfastError) {
      try checkProtectLocked(range, protection)
      try pmap.prepareToSplit(range)
      var position = positionLocked(after: range.start)
      while position < entries.count, entries[position].range.start < range.end {
        // Before it is cut: parts with a shadow each could not be merged again.
        if mustCopyAtOnce(entries[position], for: protection) {
          copyOnWriteLocked(entries[position])
        }
        position = clipLocked(position, to: range)
        position += 1
      }
      let affected = entries.filter { range.contains($0.range) }
      if affected.contains(where: { mustCopyAtOnce($0, for: protection) }) {
        let transition = Transition()
        for entry in affected { entry.transition = transition }
        copied = affected
        try copyAtOnceLocked(affected.filter { mustCopyAtOnce($0, for: protection) })
      }
      for entry in affected {
        entry.protection = protection
        let allowed = entry.isWired ? protection : allowedProtection(entry, protection)
        pmap.protect(entry.range, allowed)
        // Where the pmap took translations away instead, those of wired pages come back at once.
        if entry.isWired, !allowed.isEmpty { pmap.refresh(entry.range) }
        entry.publish(pmap, geometry)
      }
    } catch {
      endTransitionLocked(copied, range)
      lock.unlock()
      transitions.announce()
      throw error
    }
    endTransitionLocked(copied, range)
    lock.unlock()
    if !copied.isEmpty { transitions.announce() }
  }

  /// Checks that the range is mapped and may have the protection. Waits until none of it is in
  /// transition, with the lock let go.
  private func checkProtectLocked(
    _ range: AddressRange, _ protection: Protection
  ) throws(HoldfastError) {
    scan: while true {
      var address = range.start
      var position = positionLocked(after: address)
      while address < range.end {
        guard position < entries.count, entries[position].range.start <= address else {
          throw HoldfastError(.invalidAddress, at: address, "nothing is mapped")
        }
        let entry = entries[position]
        if entry.transition != nil {
          waitForTransitionLocked(exclusive: true)
          continue scan
        }
        guard protection.isSubset(of: entry.maximumProtection) else {
          throw HoldfastError(
            .protectionFailure, at: address,
            "the protection \(protection) passes \(entry.maximumProtection)")
        }
        address = entry.range.end
        position += 1
      }
      return
    }
  }

  /// Copies the pages of wired entries in transition, with the lock let go. Their translations keep
  /// the old protection, so that a failure leaves nothing to take back.
  private func copyAtOnceLocked(_ wired: [MapEntry]) throws(HoldfastError) {
    lock.unlock()
    defer { lock.lockExclusive() }
    for entry in wired { try copyPagesUp(entry) }
  }
}
