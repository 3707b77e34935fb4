public import HoldfastCore
internal import SystemPackage

/// Entering pages, and keeping them entered.
extension PagedWindow {
  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    let (part, delta) = place(of: run, at: address)
    do throws(Errno) {
      try enter(part, delta, protection, wired: wired, reach: reach)
    } catch {
      throw HoldfastError(
        .resourceShortage, at: address, "the kernel refused a translation (\(error))",
        errno: error.rawValue)
    }
  }

  func enter(
    _ part: Range<UInt64>, _ delta: UInt64, _ protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    lock.lock()
    defer { lock.unlock() }
    // The guest is on its way out, and nobody may reach anything any more.
    if unsafe isClosed { return }
    let there = unsafe extents.parts(of: part)
    let isMapped = unsafe there.allSatisfy { $0.delta == delta } && extents.covers(part)
    if isMapped, !isReadOnly, there.allSatisfy({ !$0.isTrapped }) {
      return try hostRange.populate(part, .readWrite)
    }
    if isMapped {
      try enterMapped(part, there, delta, protection)
    } else {
      guard room.isThere else { throw .noMemory }
      let region = reach.map { $0.start.rawValue..<$0.end.rawValue } ?? region(around: part, delta)
      if isReadOnly || region != part {
        try moveIn(region, part, delta, protection)
      } else {
        try mapOver(part, delta)
      }
    }
    // Who has it wired is never to wait for a thread of ours. Of a reach the rest is to come.
    if wired, !isReadOnly, reach == nil { open(part) }
  }

  /// Enters pages whose mapping is there.
  func enterMapped(
    _ part: Range<UInt64>, _ there: [WindowExtents.Extent], _ delta: UInt64,
    _ protection: Protection
  ) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    for extent in there where !extent.isTrapped {
      try faults.register(hostRange, extent.range, .everything)
    }
    changeExtents {
      $0.insert(
        WindowExtents.Extent(range: part, delta: delta, isTrapped: true, protection: protection))
    }
    try faults.resume(hostRange, part, readOnly: isReadOnly)
    // What was there keeps the protection it had.
    for extent in there
    where !extent.isVacant && extent.protection.contains(.write) == isReadOnly {
      try faults.protect(hostRange, extent.range, readOnly: isReadOnly)
    }
  }

  /// What the kernel is told of the window's mappings. Shared huge pages are not in core dumps anyway, and a
  /// fault has no time for a call that changes nothing.
  var advice: HostRange.Advice {
    arena.backing == .base ? .basePages : arena.backing.hugePageSize == nil ? .noDump : .none
  }

  /// Maps pages that may be read and written over what is there.
  func mapOver(_ part: Range<UInt64>, _ delta: UInt64) throws(Errno) {
    do throws(Errno) {
      try hostRange.map(
        part, .readWrite, file: file.descriptor, offset: part.lowerBound &+ delta,
        advice: advice)
    } catch {
      // What was there may be gone already.
      try clearAtOnce(part)
      throw error
    }
    changeRefused { $0.remove(part) }
    changeExtents {
      $0.insert(WindowExtents.Extent(range: part, delta: delta, isTrapped: false))
    }
    guard arena.backing == .base, (try? faults.register(hostRange, part, .everything)) != nil else {
      return try hostRange.populate(part, .readWrite)
    }
    // Continuing a whole range of base pages costs a third of populating it.
    do throws(Errno) {
      try faults.resume(hostRange, part, readOnly: false)
      try faults.unregister(hostRange, part)
    } catch {
      changeExtents {
        $0.insert(WindowExtents.Extent(range: part, delta: delta, isTrapped: true))
      }
      throw error
    }
  }

  /// Maps a region aside with the pages of `part` entered, and moves it over what is there.
  func moveIn(
    _ region: Range<UInt64>, _ part: Range<UInt64>, _ delta: UInt64, _ protection: Protection
  ) throws(Errno) {
    let aside = try HostRange.shared(
      UInt64(region.count), file: file.descriptor, offset: region.lowerBound &+ delta,
      advice: advice)
    do throws(Errno) {
      try faults.register(aside, 0..<UInt64(region.count), .everything)
      let inside = part.lowerBound - region.lowerBound..<part.upperBound - region.lowerBound
      try faults.resume(aside, inside, readOnly: !protection.contains(.write))
    } catch {
      aside.release()
      throw error
    }
    do throws(Errno) {
      try move(aside, to: region.lowerBound)
    } catch {
      aside.release()
      // It may have failed after what was there had gone.
      try clearAtOnce(region)
      throw error
    }
    changeRefused { $0.remove(region) }
    changeExtents {
      $0.insert(
        WindowExtents.Extent(range: region, delta: delta, isTrapped: true, isVacant: true))
      $0.insert(
        WindowExtents.Extent(range: part, delta: delta, isTrapped: true, protection: protection))
    }
  }

  /// How much to map for base pages: the large page around them, if nothing else is entered in it, so that
  /// those to come from the same block need no mapping of their own.
  func region(around part: Range<UInt64>, _ delta: UInt64) -> Range<UInt64> {
    let large = UInt64(2) << 20
    let start = part.lowerBound & ~(large - 1)
    guard arena.geometry.pageSize.rawValue < large, part.count < large,
      part.upperBound <= start + large, start + large <= hostRange.length.rawValue
    else { return part }
    let region = start..<start + large
    // The file's part has to be an aligned block too, and all of it the arena's.
    let place = start &+ delta
    guard place.isMultiple(of: large), place + large <= arena.size.rawValue,
      unsafe extents.parts(of: region).allSatisfy({ $0.isVacant })
    else { return part }
    return region
  }

  public func endReach(_ range: AddressRange) {
    lock.withLock { open(range.start.rawValue..<range.end.rawValue) }
  }

  /// Lets the kernel serve faults where all pages are entered for writing.
  func open(_ range: Range<UInt64>) {
    for var part in unsafe extents.parts(of: range)
    where part.isTrapped && !part.isVacant && part.protection.contains(.write) {
      // Where the kernel has no room to split a mapping it stays trapped: then faults are answered.
      guard (try? faults.unregister(hostRange, part.range)) != nil else { continue }
      part.isTrapped = false
      changeExtents { $0.insert(part) }
    }
  }

  public func refresh(_ range: AddressRange) {
    lock.withLock {
      for var part in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue)
      where part.isTrapped && !part.protection.isEmpty {
        let isReadOnly = !part.protection.contains(.write)
        // Where it fails the toucher comes again.
        guard (try? faults.resume(hostRange, part.range, readOnly: isReadOnly)) != nil,
          part.isVacant
        else { continue }
        // It was left vacant when its protection changed.
        part.isVacant = false
        changeExtents { $0.insert(part) }
      }
    }
  }
}
