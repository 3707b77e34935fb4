public import HoldfastCore
internal import SystemPackage

/// Entering pages.
extension PagedWindow {
  /// Maps a run of frames at an address, whatever was there. Takes the window's lock.
  ///
  /// - Throws: code `resourceShortage` where the kernel has no memory for page tables or no room
  ///   for another mapping.
  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    let (part, delta) = location(of: run, at: address)
    do throws(Errno) {
      try enter(part, delta, protection, wired: wired, reach: reach)
    } catch {
      throw HoldfastError(
        .resourceShortage, at: address, "the kernel refused a translation (\(error))",
        errno: error.rawValue)
    }
  }

  /// Enters the pages of a part, in place or aside, as `PagedWindow` describes.
  func enter(
    _ part: Range<UInt64>, _ delta: UInt64, _ protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    lock.lock()
    defer { lock.unlock() }
    // The guest's access has ended for good.
    if unsafe isClosed { return }
    let there = unsafe extents.parts(of: part)
    let isMapped = unsafe there.allSatisfy { $0.delta == delta } && extents.covers(part)
    if isMapped, !isReadOnly, there.allSatisfy({ !$0.isTrapped }) {
      return try hostRange.populate(part, .readWrite)
    }
    if isMapped {
      try enterMapped(part, there, delta, protection)
    } else {
      guard room.isAvailable else { throw .noMemory }
      let region = reach.map { $0.start.rawValue..<$0.end.rawValue } ?? region(around: part, delta)
      if isReadOnly || region != part {
        try moveIn(region, part, delta, protection)
      } else {
        try mapOver(part, delta)
      }
    }
    // A thread must not wait for a handler thread at a wired page. The rest of a reach comes later.
    if wired, !isReadOnly, reach == nil { open(part) }
  }

  /// Enters pages whose mapping exists. Needs the lock.
  func enterMapped(
    _ part: Range<UInt64>, _ there: [WindowExtents.Extent], _ delta: UInt64,
    _ protection: Protection
  ) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    for extent in there where !extent.isTrapped {
      try faults.register(hostRange, extent.range, .all)
    }
    changeExtents {
      $0.insert(
        WindowExtents.Extent(range: part, delta: delta, isTrapped: true, protection: protection))
    }
    try faults.install(hostRange, part, readOnly: isReadOnly)
    // Entries that existed have kept their protection.
    for extent in there
    where !extent.isVacant && extent.protection.contains(.write) == isReadOnly {
      try faults.protect(hostRange, extent.range, readOnly: isReadOnly)
    }
  }

  /// The advice for the window's mappings. Core dumps exclude shared huge pages anyway, so for
  /// these a page fault saves the call.
  var advice: HostRange.Advice {
    arena.backing == .base ? .basePages : arena.backing.hugePageSize == nil ? .noDump : .none
  }

  /// Maps pages for reading and writing over what is there, in place. Needs the lock.
  func mapOver(_ part: Range<UInt64>, _ delta: UInt64) throws(Errno) {
    do throws(Errno) {
      try hostRange.map(
        part, .readWrite, file: file.descriptor, offset: part.lowerBound &+ delta,
        advice: advice)
    } catch {
      // mmap(2) may have unmapped what was there.
      try clearAtOnce(part)
      throw error
    }
    changeRefused { $0.remove(part) }
    changeExtents {
      $0.insert(WindowExtents.Extent(range: part, delta: delta, isTrapped: false))
    }
    guard arena.backing == .base, (try? faults.register(hostRange, part, .all)) != nil else {
      return try hostRange.populate(part, .readWrite)
    }
    // UFFDIO_CONTINUE of a whole range of base pages takes a third of the time of populating it.
    do throws(Errno) {
      try faults.install(hostRange, part)
      try faults.unregister(hostRange, part)
    } catch {
      changeExtents {
        $0.insert(WindowExtents.Extent(range: part, delta: delta, isTrapped: true))
      }
      throw error
    }
  }

  /// Maps a region aside with the pages of `part` entered, and moves it over what is there. Needs
  /// the lock.
  func moveIn(
    _ region: Range<UInt64>, _ part: Range<UInt64>, _ delta: UInt64, _ protection: Protection
  ) throws(Errno) {
    let aside = try HostRange.shared(
      UInt64(region.count), file: file.descriptor, offset: region.lowerBound &+ delta,
      advice: advice)
    do throws(Errno) {
      try faults.register(aside, 0..<UInt64(region.count), .all)
      let inside = part.lowerBound - region.lowerBound..<part.upperBound - region.lowerBound
      try faults.install(aside, inside, readOnly: !protection.contains(.write))
    } catch {
      aside.unmap()
      throw error
    }
    do throws(Errno) {
      try move(aside, to: region.lowerBound)
    } catch {
      aside.unmap()
      // mremap(2) may have unmapped what was there.
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
      unsafe extents.parts(of: region).allSatisfy({ $0.isVacant })
    else { return part }
    return region
  }

  /// Lets the kernel serve faults in a reach, all of whose pages are entered. Takes the lock.
  public func endReach(_ range: AddressRange) {
    lock.withLock { open(range.start.rawValue..<range.end.rawValue) }
  }

  /// Lets the kernel serve faults where all pages are entered for writing. Needs the lock.
  func open(_ range: Range<UInt64>) {
    for var part in unsafe extents.parts(of: range)
    where part.isTrapped && !part.isVacant && part.protection.contains(.write) {
      // If the kernel cannot split the mapping it stays trapped, and handler threads serve its
      // faults.
      guard (try? faults.unregister(hostRange, part.range)) != nil else { continue }
      part.isTrapped = false
      changeExtents { $0.insert(part) }
    }
  }

  /// Enters pages again that the kernel took out of the page tables for its own reasons, or that
  /// became vacant when their protection changed. Takes the lock.
  public func refresh(_ range: AddressRange) {
    lock.withLock {
      for var part in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue)
      where part.isTrapped && !part.protection.isEmpty {
        let isReadOnly = !part.protection.contains(.write)
        // If it fails, the faulting thread faults again.
        guard (try? faults.install(hostRange, part.range, readOnly: isReadOnly)) != nil,
          part.isVacant
        else { continue }
        // It became vacant when its protection changed.
        part.isVacant = false
        changeExtents { $0.insert(part) }
      }
    }
  }
}
