public import HoldfastCore
internal import SystemPackage

/// Taking pages away, and permissions.
extension PagedWindow {
  public func prepareToSplit(_ range: AddressRange) throws(HoldfastError) {
    let bounds = range.start.rawValue..<range.end.rawValue
    let isCut = lock.withLock { unsafe extents.isCut(at: bounds) }
    try room.checkSplit(isCut: isCut, at: range.start)
  }

  public func remove(_ range: AddressRange) {
    lock.withLock { clear(range.start.rawValue..<range.end.rawValue) }
  }

  /// More mappings than this are replaced by one instead of being emptied one by one.
  static let fewMappings = 4

  /// Takes what is entered in a range away. Needs the lock.
  func clear(_ range: Range<UInt64>) {
    if unsafe isClosed { return }
    let parts = unsafe extents.parts(of: range)
    do throws(Errno) {
      if parts.count > Self.fewMappings, (try? clearAtOnce(range)) != nil { return }
      for part in parts where !part.isVacant { try vacate(part) }
    } catch {
      // Going on would let a guest reach frames that are about to be another's.
      preconditionFailure("cannot take a translation away: \(error)")
    }
  }

  /// Puts nothing in the place of all that is there.
  func clearAtOnce(_ range: Range<UInt64>) throws(Errno) {
    var isTrapped = true
    if (try? moveNothing(to: range)) == nil {
      // The kernel has no room for a second mapping (RLIMIT_AS, no overcommit). By steps, then: who
      // touches between them, or after one that fails, gets an error, but nobody's memory.
      try hostRange.unmap(range)
      isTrapped =
        (try? faults.register(hostRange, range, .nothingThere)) != nil
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

  func moveNothing(to range: Range<UInt64>) throws(Errno) {
    let aside = try HostRange.anonymous(UInt64(range.count))
    do throws(Errno) {
      try faults.register(aside, 0..<UInt64(range.count), .nothingThere)
      try move(aside, to: range.lowerBound)
    } catch {
      aside.release()
      throw error
    }
  }

  /// Takes the pages of a part away and keeps its mapping.
  ///
  /// - Parameter protection: what `refresh` is to enter them with, if it is called.
  func vacate(
    _ part: WindowExtents.Extent, _ protection: Protection = .readWrite
  ) throws(Errno) {
    if !part.isTrapped { try faults.register(hostRange, part.range, .everything) }
    try hostRange.dropTranslations(part.range)
    changeExtents {
      $0.insert(
        WindowExtents.Extent(
          range: part.range, delta: part.delta, isTrapped: true, protection: protection,
          isVacant: true))
    }
  }

  public func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      for var part in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue)
      where part.protection != protection {
        do throws(Errno) {
          if part.isVacant {
            part.protection = protection
            changeExtents { $0.insert(part) }
          } else if (try? protect(part, protection)) == nil {
            // Without memory for page tables: what is gone comes again when it is touched.
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
      try faults.register(hostRange, part.range, .everything)
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
