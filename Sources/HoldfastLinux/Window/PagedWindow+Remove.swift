public import HoldfastCore
internal import SystemPackage

/// Removing and protecting pages. None of it needs room for a further mapping.
extension PagedWindow {
  /// Removes the translations of a range; a later access waits for a handler thread. Takes the
  /// lock.
  public func remove(_ range: AddressRange) {
    lock.withLock { clear(range.start.rawValue..<range.end.rawValue) }
  }

  /// A range of more mappings than this is replaced as a whole instead of vacated one by one.
  static let fewMappings = 4

  /// Removes what is entered in a range. Needs the lock.
  func clear(_ range: Range<UInt64>) {
    guard unsafe extents.overlaps(range) else { return }
    let used = unsafe mappings.parts(of: range).filter {
      unsafe $0.delta != nil && extents.overlaps($0.range)
    }
    if used.count > Self.fewMappings, (try? clearAtOnce(range)) != nil { return }
    do throws(Errno) {
      for part in used { try vacate(part) }
      unsafe extents.remove(range)
    } catch {
      lose(error)
    }
  }

  /// Replaces all that is mapped in a range by nothing. Needs the lock.
  func clearAtOnce(_ range: Range<UInt64>) throws(Errno) {
    var nothing = WindowMappings.Mapping(range, isTrapped: true, access: .readWrite)
    if (try? moveEmpty(to: range)) == nil {
      // The kernel has no room for a second mapping (RLIMIT_AS, no overcommit), so do it in steps.
      // A thread that accesses the range between them, or after one that fails, gets an error, but
      // no memory of another guest.
      try hostRange.reserveFixed(range)
      nothing.isTrapped =
        (try? hostRange.keepPrivate(range)) != nil
        && (try? faults.register(hostRange, range, .missing)) != nil
      if !nothing.isTrapped || (try? hostRange.protect(range, .readWrite)) == nil {
        nothing.access = []
      }
    }
    unsafe extents.remove(range)
    changeMappings { $0.set(nothing) }
  }

  /// Moves an empty registered mapping over a range. Needs the lock.
  func moveEmpty(to range: Range<UInt64>) throws(Errno) {
    let all = 0..<UInt64(range.count)
    let aside = try HostRange.anonymous(all.upperBound)
    do throws(Errno) {
      try faults.register(aside, all, .missing)
      try aside.protect(all, .readWrite)
      try move(aside, to: range.lowerBound)
    } catch {
      aside.unmap()
      throw error
    }
  }

  /// Removes the pages of a part of a mapping of the file, which stays. Needs the lock.
  private func vacate(_ part: WindowMappings.Mapping) throws(Errno) {
    try handOverLocked(part.range)
    try trap(part.range)
    try hostRange.dropTranslations(part.range)
  }

  /// Has userfaultfd trap the faults of a part that is mapped to the file. Needs the lock.
  func trap(_ range: Range<UInt64>) throws(Errno) {
    for part in unsafe mappings.parts(of: range) where part.delta != nil && !part.isTrapped {
      var trapped = part
      trapped.isTrapped = true
      if !allows(trapped) || (try? faults.register(hostRange, trapped.range, .all)) == nil {
        // All of the mapping needs no further one.
        trapped.range = unsafe mappings.mapping(at: part.range.lowerBound).range
        try faults.register(hostRange, trapped.range, .all)
      }
      changeMappings { $0.update(trapped.range) { $0.isTrapped = true } }
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
            unsafe extents.insert(part)
          } else if (try? protect(part, protection)) == nil {
            // There is no memory for page tables: the pages are entered again on the next fault.
            try vacate(part, protection)
          }
        } catch {
          return lose(error)
        }
      }
    }
  }

  /// Removes the pages of a part, which are entered again with another protection. Needs the lock.
  private func vacate(
    _ part: WindowExtents.Extent, _ protection: Protection
  ) throws(Errno) {
    for mapping in unsafe mappings.parts(of: part.range) { try vacate(mapping) }
    var vacant = part
    vacant.protection = protection
    vacant.isVacant = true
    unsafe extents.insert(vacant)
  }

  /// Changes the protection of pages that are entered. Needs the lock.
  private func protect(
    _ old: WindowExtents.Extent, _ protection: Protection
  ) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    if protection.isEmpty || (isReadOnly && arena.backing.isTransparentHuge) {
      return try vacate(old, protection)
    }
    if isReadOnly {
      try handOverLocked(old.range)
      try trap(old.range)
    }
    if old.protection.contains(.write) == isReadOnly {
      for part in unsafe mappings.parts(of: old.range) where part.isTrapped {
        try faults.protect(hostRange, part.range, readOnly: isReadOnly)
      }
    }
    var part = old
    part.protection = protection
    unsafe extents.insert(part)
  }

  /// Does nothing: frames never leave the arena, so a translation is the same wired or not.
  public func unwire(_ range: AddressRange) {}
}
