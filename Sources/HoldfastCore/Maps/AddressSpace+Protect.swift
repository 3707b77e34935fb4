extension AddressSpace {
  /// Sets the protection of a range, all of which is mapped (FreeBSD: `vm_map_protect`; Linux:
  /// mprotect(2)). Pages of wired entries stay reachable at every moment; where a wired entry
  /// becomes writable, its shared pages are copied first. Waits for entries in transition.
  ///
  /// - Throws: `invalidAddress` for a hole; `protectionFailure` where an entry's maximum is
  ///   exceeded; `invalidArgument` for a range that is not page-aligned, or for less than reading
  ///   and writing on placed memory; `resourceShortage` without frames for copies, or where the
  ///   pmap cannot split a translation at an end of the range. The protection is unchanged then.
  /// - Complexity: O(entries), plus the pages that are copied. Takes the lock exclusive, but not
  ///   while it copies.
  public func protect(_ range: AddressRange, _ protection: Protection) throws(HoldfastError) {
    try during("set the protection of \(range) to \(protection)", range) {
      () throws(HoldfastError) in try change(range, to: protection)
    }
  }

  private func change(
    _ range: AddressRange, to protection: Protection
  ) throws(HoldfastError) {
    try checkAligned(range)
    guard !memory.isPlaced || protection.isSuperset(of: .readWrite) else {
      throw HoldfastError(
        .invalidArgument,
        "placed memory can always be reached by its guest, so \(protection) has no effect",
        advice: .useBacking(Backing.withFile))
    }
    if range.isEmpty { return }
    lock.lockExclusive()
    var copied: [MapEntry] = []
    do throws(HoldfastError) {
      try checkProtectLocked(range, protection)
      try pmap.prepareToSplit(range)
      var position = positionLocked(after: range.start)
      while position < entries.count, entries[position].range.start < range.end {
        // Before the entry is clipped: parts with a shadow each could not merge again.
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
        // Where the pmap removed translations instead, those of wired pages are entered again.
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

  /// Checks that the range is mapped and may have the protection. Waits, with the lock unlocked,
  /// until no entry of it is in transition.
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
            "protection \(protection) exceeds the maximum \(entry.maximumProtection)")
        }
        address = entry.range.end
        position += 1
      }
      return
    }
  }

  /// Copies the pages of wired entries in transition, with the lock unlocked. Their translations
  /// keep the old protection, so that a failure leaves nothing to undo.
  private func copyAtOnceLocked(_ wired: [MapEntry]) throws(HoldfastError) {
    lock.unlock()
    defer { lock.lockExclusive() }
    for entry in wired { try copyPagesUp(entry) }
  }
}
