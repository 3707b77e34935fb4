public import HoldfastCore
internal import SystemPackage

/// Removing and protecting pages.
extension WindowPmap {
  /// Checks that there is room for the mappings that removing the range takes. Takes the lock.
  ///
  /// - Throws: code `resourceShortage` where no room is left.
  public func prepareToSplit(_ range: AddressRange) throws(HoldfastError) {
    let removed = WindowMappings.Mapping(
      range.start.rawValue..<range.end.rawValue, access: [])
    // Where nothing is mapped nothing is removed.
    let hasRoom = lock.withLock {
      unsafe !extents.overlaps(removed.range) || allows(removed)
    }
    if !hasRoom { throw room.shortage(at: range.start) }
  }

  /// Checks that there is room for the mappings that protecting ranges takes. Takes the lock.
  ///
  /// - Throws: code `resourceShortage` where no room is left.
  /// - Complexity: O(log mappings + parts of the ranges); near the limit also O(mappings), to work
  ///   out what splits really take.
  public func prepareToProtect(
    _ changes: [(range: AddressRange, protection: Protection)]
  ) throws(HoldfastError) {
    let hasRoom = lock.withLock {
      let before = unsafe mappings.count
      let parts = changes.map {
        unsafe extents.parts(of: $0.range.start.rawValue..<$0.range.end.rawValue)
      }
      // Each change splits at most at both of its ends.
      if room.allows(2 * parts.reduce(0) { $0 + $1.count }, own: before) { return true }
      var trial = unsafe mappings
      var most = before
      for (change, parts) in zip(changes, parts) {
        for part in parts {
          trial.protect(part.range, change.protection)
          most = max(most, trial.count)
        }
      }
      return room.allows(most - before, own: before)
    }
    if !hasRoom { throw room.shortage(at: changes.first?.range.start ?? .zero) }
  }

  /// Removes the translations of a range; a later access is an error. Takes the lock.
  public func remove(_ range: AddressRange) {
    lock.withLock { clear(range.start.rawValue..<range.end.rawValue) }
  }

  /// Removes what is mapped in a range. Needs the lock.
  ///
  /// - Parameter isMapped: whether all of the range may be mapped, although it is in no extent.
  func clear(_ range: Range<UInt64>, isMapped: Bool = false) {
    let parts = unsafe extents.parts(of: range)
    let removed: Range<UInt64>
    if isMapped {
      removed = range
    } else if let first = parts.first, let last = parts.last {
      removed = first.range.lowerBound..<last.range.upperBound
    } else {
      return
    }
    let waiting = trapped(in: removed)
    do throws(Errno) {
      try hostRange.reserveFixed(removed)
      changeMappings { $0.set(WindowMappings.Mapping(removed, access: [])) }
    } catch {
      // The kernel splits no mapping.
      do throws(Errno) {
        for part in unsafe mappings.parts(of: removed) where part.delta != nil {
          try hostRange.guardAccess(part.range, true)
        }
      } catch {
        return lose(error)
      }
    }
    unsafe extents.remove(removed)
    refill(around: removed)
    wake(waiting)
  }

  /// Ends the guest's access for good because the kernel failed to remove or protect a page: to
  /// continue would let the guest access frames that are about to be another guest's. Later calls
  /// of `enter` throw. Needs the lock.
  func lose(_ error: Errno) {
    if unsafe loss != nil { return }
    unsafe loss = GuestReservation.loss(error)
    let waiting = trapped(in: 0..<hostRange.length.rawValue)
    let isOne = hostRange.endAccess(to: arena)
    unsafe extents = WindowExtents()
    changeMappings { $0.endAccess(isOne) }
    wake(waiting)
  }

  /// The parts of a range in which threads may wait. Needs the lock.
  func trapped(in range: Range<UInt64>) -> [Range<UInt64>] {
    guard unsafe mappings.traps(range) else { return [] }
    return unsafe mappings.parts(of: range).filter(\.isTrapped).map(\.range)
  }

  /// Wakes the threads that wait in parts that are no longer trapped.
  func wake(_ parts: [Range<UInt64>]) {
    for part in parts { userFault?.wake(hostRange, part) }
  }

  /// Changes the protection of the pages that are entered. Takes the lock.
  public func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      for var part in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue) {
        do throws(Errno) {
          try hostRange.protect(part.range, protection)
        } catch {
          // It may have changed a part of the pages, and no other way needs no further mapping.
          return lose(error)
        }
        changeMappings { $0.protect(part.range, protection) }
        part.protection = protection
        unsafe extents.insert(part)
        refill(around: part.range)
      }
    }
  }
}
