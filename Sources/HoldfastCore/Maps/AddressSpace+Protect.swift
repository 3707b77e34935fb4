extension AddressSpace {
  /// Sets the protection of a range, all of which is mapped (FreeBSD: `vm_map_protect`; Linux:
  /// mprotect(2)). Pages of wired entries stay reachable at every moment. Waits for entries in
  /// transition.
  ///
  /// - Throws: `invalidAddress` for a hole; `protectionFailure` where an entry's maximum is
  ///   exceeded; `invalidArgument` for a range that is not page-aligned, or for less than reading
  ///   and writing on placed memory; `resourceShortage` where the pmap cannot split a translation
  ///   at an end of the range. The protection is unchanged then.
  /// - Complexity: O(log entries) for the look-up and for each entry of the range that is cut or
  ///   merged, plus the entries of the range. Takes the lock exclusive.
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
    defer { lock.unlock() }
    try checkProtectLocked(range, protection)
    try prepareToProtectLocked(range, protection)
    var position = entries.position(after: range.start)
    while let here = position, entries[here].range.start < range.end {
      let part = clipLocked(here, to: range)
      let entry = entries[part]
      position = entries.position(after: part)
      entry.protection = protection
      let allowed = translatedProtection(entry, protection)
      pmap.protect(entry.range, allowed)
      // Where the pmap removed translations instead, those of wired pages are entered again.
      if entry.isWired, !allowed.isEmpty { pmap.refresh(entry.range) }
      entry.publish(pmap, geometry)
    }
    mergeLocked(around: range)
  }

  /// The protection of an entry's translations if the entry has a protection.
  private func translatedProtection(_ entry: MapEntry, _ protection: Protection) -> Protection {
    entry.isWired ? protection : allowedProtection(entry, protection)
  }

  /// Has the pmap set aside what splits at the ends of a range and of each entry in it take: a
  /// superpage or mapping may cover several entries, which change one after the other.
  ///
  /// - Throws: resourceShortage.
  private func prepareToProtectLocked(
    _ range: AddressRange, _ protection: Protection
  ) throws(HoldfastError) {
    var changes: [(range: AddressRange, protection: Protection)] = []
    entries.visit(in: range) { entry in
      changes.append(
        (entry.range.clamped(to: range), translatedProtection(entry, protection)))
    }
    try pmap.prepareToProtect(changes)
  }

  /// Checks that the range is mapped and may have the protection. Waits, with the lock unlocked,
  /// until no entry of it is in transition.
  private func checkProtectLocked(
    _ range: AddressRange, _ protection: Protection
  ) throws(HoldfastError) {
    scan: while true {
      var address = range.start
      var position = entries.position(after: address)
      while address < range.end {
        guard let here = position, entries[here].range.start <= address else {
          throw HoldfastError(.invalidAddress, at: address, "nothing is mapped")
        }
        let entry = entries[here]
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
        position = entries.position(after: here)
      }
      return
    }
  }
}
