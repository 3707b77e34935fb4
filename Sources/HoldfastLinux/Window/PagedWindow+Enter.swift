public import HoldfastCore
internal import SystemPackage

/// Entering pages.
extension PagedWindow {
  /// Maps a run of frames at an address, whatever was there. Takes the window's lock.
  ///
  /// - Throws: code `resourceShortage` where the kernel has no memory for page tables or there is no
  ///   room for another mapping; `host` where the guest's access has ended for good.
  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    let (part, delta) = location(of: run, at: address)
    lock.lock()
    defer { lock.unlock() }
    // The guest's access has ended for good.
    if unsafe isClosed { return }
    if let loss = unsafe loss { throw loss.at(address) }
    let region = reach.map { $0.start.rawValue..<$0.end.rawValue }
    let place = place(part, delta, protection, region)
    if let mapping = place.new, !allows(mapping) { throw room.shortage(at: address) }
    do throws(Errno) {
      try enter(place, part, delta, protection)
    } catch {
      throw HoldfastError(
        .resourceShortage, at: address, "the kernel refused a translation (\(error))",
        errno: error.rawValue)
    }
    // A thread must not wait for a handler thread at a wired page. The rest of a reach comes later.
    if wired, protection.contains(.write), reach == nil { open(part) }
  }

  /// How the pages of a part are entered.
  private struct Place {
    /// The mapping to make; nil if the part is mapped as it should be.
    var new: WindowMappings.Mapping?
    /// Whether the kernel serves the faults of the part, all of whose pages are entered.
    var isOpen = false
  }

  /// Finds out how to enter the pages of a part. Needs the lock.
  ///
  /// - Parameter reach: what to map with them, or nil if that is to be found out.
  private func place(
    _ part: Range<UInt64>, _ delta: UInt64, _ protection: Protection, _ reach: Range<UInt64>?
  ) -> Place {
    let mapped = unsafe mappings.parts(of: part)
    let isReadOnly = !protection.contains(.write)
    if mapped.allSatisfy({ $0.delta == delta }) {
      return Place(isOpen: !isReadOnly && mapped.allSatisfy { !$0.isTrapped })
    }
    let region = reach ?? region(around: part, delta)
    let isTrapped = isReadOnly || region != part
    // Only while none of the region's other pages has been entered.
    let isUntouched = unsafe mappings.parts(of: region).allSatisfy {
      $0.isFailing && $0.delta == nil
    }
    let isFailing = isTrapped && !isReadOnly && isUntouched
    return Place(
      new: WindowMappings.Mapping(
        region, delta: delta, isTrapped: isTrapped, isFailing: isFailing, access: .readWrite))
  }

  /// Enters the pages of a part, in place or aside, as `PagedWindow` describes. Needs the lock.
  private func enter(
    _ place: Place, _ part: Range<UInt64>, _ delta: UInt64, _ protection: Protection
  ) throws(Errno) {
    let extent = WindowExtents.Extent(range: part, delta: delta, protection: protection)
    if let mapping = place.new {
      if mapping.isFailing {
        try mapInPlace(mapping, extent)
      } else if mapping.isTrapped {
        try moveIn(mapping, extent)
      } else {
        try mapOver(mapping, extent)
      }
    } else if place.isOpen {
      try hostRange.populate(part, .readWrite)
    } else {
      try enterMapped(extent)
    }
  }

  /// Enters pages whose mapping exists. Needs the lock.
  private func enterMapped(_ new: WindowExtents.Extent) throws(Errno) {
    let isReadOnly = !new.protection.contains(.write)
    let old = unsafe extents.parts(of: new.range)
    if isReadOnly { try handOverLocked(new.range) }
    try trap(new.range)
    // Before the first page: a failure half way leaves pages entered.
    unsafe extents.insert(new)
    if failing == nil {
      try faults.install(hostRange, new.range, readOnly: isReadOnly)
    } else {
      for part in unsafe mappings.parts(of: new.range) {
        try userFault(of: part).install(hostRange, part.range, readOnly: isReadOnly)
      }
    }
    // Entries that existed have kept their protection.
    // (A mapping whose faults fail has no protected ones.)
    for extent in old where !extent.isVacant && extent.protection.contains(.write) == isReadOnly {
      try faults.protect(hostRange, extent.range, readOnly: isReadOnly)
    }
  }

  /// The advice for the window's mappings. Core dumps exclude shared huge pages anyway, so for
  /// these a page fault saves the call.
  var advice: HostRange.Advice {
    arena.backing == .base ? .basePages : arena.backing.hugePageSize == nil ? .noDump : .none
  }

  /// Maps pages for reading and writing over what is there, in place. All of them are the guest's
  /// own, so they may be accessible at once. Needs the lock.
  private func mapOver(
    _ mapping: WindowMappings.Mapping, _ extent: WindowExtents.Extent
  ) throws(Errno) {
    let part = extent.range
    do throws(Errno) {
      try hostRange.map(
        part, .readWrite, file: file.descriptor, offset: part.lowerBound &+ extent.delta,
        advice: advice)
    } catch {
      restore(part)
      throw error
    }
    changeMappings { $0.set(mapping) }
    unsafe extents.insert(extent)
    guard arena.backing == .base, (try? faults.register(hostRange, part, .all)) != nil else {
      return try hostRange.populate(part, .readWrite)
    }
    // UFFDIO_CONTINUE of a whole range of base pages takes a third of the time of populating it.
    do throws(Errno) {
      try faults.install(hostRange, part)
      try faults.unregister(hostRange, part)
    } catch {
      changeMappings { $0.update(part) { $0.isTrapped = true } }
      throw error
    }
  }

  /// Makes a range empty after a mmap(2) or mremap(2) that failed, which may have unmapped what was
  /// there. Needs the lock.
  func restore(_ range: Range<UInt64>) {
    if (try? clearAtOnce(range)) != nil { return }
    // What was there is still there, unless a part is not mapped. The kernel could map memory of
    // this process there, which the guest would reach.
    do throws(Errno) {
      _ = try hostRange.residentPages(range)
    } catch {
      lose(error)
    }
  }

  /// Maps a region aside with the pages of `extent` entered, and moves it over what is there. Needs
  /// the lock.
  private func moveIn(
    _ mapping: WindowMappings.Mapping, _ extent: WindowExtents.Extent
  ) throws(Errno) {
    let region = mapping.range
    let part = extent.range
    let all = 0..<UInt64(region.count)
    let aside = try HostRange.shared(
      all.upperBound, file: file.descriptor, offset: region.lowerBound &+ extent.delta,
      advice: advice)
    do throws(Errno) {
      try faults.register(aside, all, .all)
      try aside.protect(all, .readWrite)
      let inside = part.lowerBound - region.lowerBound..<part.upperBound - region.lowerBound
      try faults.install(aside, inside, readOnly: !extent.protection.contains(.write))
    } catch {
      aside.unmap()
      throw error
    }
    do throws(Errno) {
      try move(aside, to: region.lowerBound)
    } catch {
      aside.unmap()
      restore(region)
      throw error
    }
    changeMappings { $0.set(mapping) }
    unsafe extents.remove(region)
    unsafe extents.insert(extent)
  }

  /// The region to map for base pages: the large page around them, if nothing else is entered in
  /// it, so that later pages of the same block need no mapping of their own. Needs the lock.
  func region(around part: Range<UInt64>, _ delta: UInt64) -> Range<UInt64> {
    let large = UInt64(2) << 20
    let start = part.lowerBound & ~(large - 1)
    guard arena.geometry.pageSize.rawValue < large, part.count < large,
      part.upperBound <= start + large, start + large <= hostRange.length.rawValue
    else { return part }
    let region = start..<start + large
    // The part of the file must be an aligned block too, and within the arena.
    let offset = start &+ delta
    guard offset.isMultiple(of: large), offset + large <= arena.size.rawValue,
      unsafe !extents.overlaps(region)
    else { return part }
    return region
  }

  /// Lets the kernel serve faults in a reach, all of whose pages are entered. Takes the lock.
  public func endReach(_ range: AddressRange) {
    lock.withLock { open(range.start.rawValue..<range.end.rawValue) }
  }

  /// Lets the kernel serve faults where all pages are entered for writing. Needs the lock.
  private func open(_ range: Range<UInt64>) {
    for extent in unsafe extents.parts(of: range)
    where !extent.isVacant && extent.protection.contains(.write) {
      for part in unsafe mappings.parts(of: extent.range) where part.isTrapped {
        var opened = part
        opened.isTrapped = false
        opened.isFailing = false
        // If the mapping cannot be split it stays trapped, and handler threads serve its faults.
        guard allows(opened), (try? userFault(of: part).unregister(hostRange, part.range)) != nil
        else { continue }
        changeMappings {
          $0.update(part.range) {
            $0.isTrapped = false
            $0.isFailing = false
          }
        }
      }
    }
  }

  /// Enters pages again that the kernel took out of the page tables for its own reasons, or that
  /// became vacant when their protection changed. Takes the lock.
  public func refresh(_ range: AddressRange) {
    lock.withLock {
      for var extent in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue)
      where !extent.protection.isEmpty {
        // Before the first page: a failure half way leaves pages entered, which `remove` must find.
        if extent.isVacant {
          extent.isVacant = false
          unsafe extents.insert(extent)
        }
        let isReadOnly = !extent.protection.contains(.write)
        for part in unsafe mappings.parts(of: extent.range) where part.isTrapped {
          // If it fails, the faulting thread faults again.
          try? userFault(of: part).install(hostRange, part.range, readOnly: isReadOnly)
        }
      }
    }
  }
}
