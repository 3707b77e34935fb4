public import HoldfastCore
internal import SystemPackage

/// Removing and protecting pages.
extension PagedWindow {
  /// Checks that there is room for the mapping that a split takes. Takes the lock.
  ///
  /// - Throws: code `resourceShortage` if there is none.
  public func prepareToSplit(_ range: AddressRange) throws(HoldfastError) {
    let bounds = range.start.rawValue..<range.end.rawValue
    let isCut = lock.withLock { unsafe extents.isCut(at: bounds) }
    try room.checkSplit(isCut: isCut, at: range.start)
  }

  /// Removes the translations of a range; a later access waits for a handler thread. Takes the
  /// lock.
  public func remove(_ range: AddressRange) {
    lock.withLock { clear(range.start.rawValue..<range.end.rawValue) }
  }

  /// A range of more mappings than this is replaced as a whole instead of vacated one by one.
  static let fewMappings = 4

  /// Removes what is entered in a range. Needs the lock.
  func clear(_ range: Range<UInt64>) {
    if unsafe isClosed { return }
    let parts = unsafe extents.parts(of: range)
    do throws(Errno) {
      if parts.count > Self.fewMappings, (try? clearAtOnce(range)) != nil { return }
      for part in parts where !part.isVacant { try vacate(part) }
    } catch {
      // To continue would let a guest access frames that are about to be another guest's.
      preconditionFailure("cannot remove a translation: \(error)")
    }
  }

  /// Replaces all that is mapped in a range by nothing. Needs the lock.
  func clearAtOnce(_ range: Range<UInt64>) throws(Errno) {
    var isTrapped = true
    if (try? moveEmpty(to: range)) == nil {
      // The kernel has no room for a second mapping (RLIMIT_AS, no overcommit), so do it in steps.
      // A thread that accesses the range between them, or after one that fails, gets an error, but
      // no memory of another guest.
      try hostRange.reserveFixed(range)
      isTrapped =
        (try? faults.register(hostRange, range, .missing)) != nil
        && (try? hostRange.protect(range, .readWrite)) != nil
    }
    changeExtents { $0.remove(range) }
    changeRefused {
      $0.remove(range)
      if !isTrapped {
        $0.insert(WindowExtents.Extent(range: range, delta: 0, isTrapped: false))
      }
    }
  }

  /// Moves an empty registered mapping over a range. Needs the lock.
  func moveEmpty(to range: Range<UInt64>) throws(Errno) {
    let aside = try HostRange.anonymous(UInt64(range.count))
    do throws(Errno) {
      try faults.register(aside, 0..<UInt64(range.count), .missing)
      try move(aside, to: range.lowerBound)
    } catch {
      aside.unmap()
      throw error
    }
  }

  /// Removes the pages of a part and keeps its mapping. Needs the lock.
  ///
  /// - Parameter protection: that with which `refresh` enters the pages again.
  func vacate(
    _ part: WindowExtents.Extent, _ protection: Protection = .readWrite
  ) throws(Errno) {
    if !part.isTrapped { try faults.register(hostRange, part.range, .all) }
    try hostRange.dropTranslations(part.range)
    changeExtents {
      $0.insert(
        WindowExtents.Extent(
          range: part.range, delta: part.delta, isTrapped: true, protection: protection,
          isVacant: true))
    }
  }

  /// Changes the protection of the pages that are entered. Takes the lock.
  public func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      for var part in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue)
      where part.protection != protection {
        do throws(Errno) {
          if part.isVacant {
            part.protection = protection
            changeExtents { $0.insert(part) }
          } else if (try? protect(part, protection)) == nil {
            // There is no memory for page tables: the pages are entered again on the next fault.
            try vacate(part, protection)
          }
        } catch {
          preconditionFailure("cannot change a translation's protection: \(error)")
        }
      }
    }
  }

  /// Changes the protection of pages that are entered. Needs the lock.
  func protect(_ old: WindowExtents.Extent, _ protection: Protection) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    if protection.isEmpty || (isReadOnly && arena.backing.isTransparentHuge) {
      return try vacate(old, protection)
    }
    var part = old
    if !part.isTrapped, isReadOnly {
      try faults.register(hostRange, part.range, .all)
      part.isTrapped = true
    }
    if part.isTrapped, old.protection.contains(.write) == isReadOnly {
      try faults.protect(hostRange, part.range, readOnly: isReadOnly)
    }
    part.protection = protection
    changeExtents { $0.insert(part) }
  }

  /// Does nothing: frames never leave the arena, so a translation is the same wired or not.
  public func unwire(_ range: AddressRange) {}
}
