public import HoldfastCore
internal import SystemPackage

/// Entering pages.
extension WindowPmap {
  /// Maps a run of frames at an address, whatever was there. Takes the window's lock.
  ///
  /// - Throws: code `resourceShortage` where the kernel has no memory for page tables or there is no
  ///   room for another mapping; `host` where the guest's access has ended for good.
  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    let (part, delta) = location(of: run, at: address)
    let extent = WindowExtents.Extent(range: part, delta: delta, protection: protection)
    let mapped = try prepare(extent, reach, at: address)
    do throws(Errno) {
      if let one = mapped.one { try fill(one, protection) }
      for mapping in mapped.several { try fill(mapping, protection) }
    } catch {
      throw refusal(error, address)
    }
    if reach == nil { open(part) }
  }

  private func refusal(_ error: Errno, _ address: Address) -> HoldfastError {
    HoldfastError(
      .resourceShortage, at: address, "the kernel refused a translation (\(error))",
      errno: error.rawValue)
  }

  /// The mappings of a part: mostly one, which needs no array.
  private struct Mapped {
    var one: WindowMappings.Mapping?
    var several: [WindowMappings.Mapping] = []
  }

  /// The mappings of a part. Needs the lock.
  private func mapped(_ part: Range<UInt64>) -> Mapped {
    var whole = unsafe mappings.mapping(at: part.lowerBound)
    guard whole.range.upperBound >= part.upperBound else {
      return unsafe Mapped(several: mappings.parts(of: part))
    }
    whole.range = part
    return Mapped(one: whole)
  }

  /// Enters the pages of a part.
  private func fill(
    _ part: WindowMappings.Mapping, _ protection: Protection
  ) throws(Errno) {
    if part.isTrapped {
      try install(part, protection)
    } else {
      try populate(part.range, protection)
    }
  }

  /// Installs pages of a part that was trapped.
  private func install(
    _ part: WindowMappings.Mapping, _ protection: Protection
  ) throws(Errno) {
    do throws(Errno) {
      try userFault?.install(hostRange, part.range)
    } catch {
      // Another operation may have had to unregister more than its own part (`open`).
      let isTrapped = lock.withLock {
        unsafe mappings.parts(of: part.range).contains { $0.isTrapped }
      }
      if isTrapped { throw error }
      try populate(part.range, protection)
    }
  }

  /// Maps a range, or the reach that it begins, to the right part of the file, if it is not.
  ///
  /// - Returns: the range's mappings; pages of those that are trapped are to be installed.
  private func prepare(
    _ extent: WindowExtents.Extent, _ reach: AddressRange?, at address: Address
  ) throws(HoldfastError) -> Mapped {
    let part = extent.range
    lock.lock()
    defer { lock.unlock() }
    if let loss = unsafe loss { throw loss.at(address) }
    if let old = unsafe extents.covering(part), old.delta == extent.delta,
      old.protection == extent.protection
    {
      return mapped(part)
    }
    if unguard(extent) { return mapped(part) }
    var new = extent
    new.range = reach.map { $0.start.rawValue..<$0.end.rawValue } ?? part
    let mapping = WindowMappings.Mapping(
      new.range, delta: extent.delta, access: extent.protection)
    guard allows(mapping) else { throw room.shortage(at: address) }
    let replaced = trapped(in: new.range)
    do throws(Errno) {
      try map(mapping, isReach: reach != nil, extent.protection)
    } catch {
      // mmap(2) may have unmapped what was there, and the kernel must not map anything else there.
      clear(new.range, isMapped: true)
      throw refusal(error, address)
    }
    unsafe extents.insert(new)
    refill(around: new.range)
    wake(replaced)
    return mapped(part)
  }

  /// Maps a part of the file, and traps its faults where its pages will be installed. Needs the
  /// lock.
  private func map(
    _ mapping: WindowMappings.Mapping, isReach: Bool, _ protection: Protection
  ) throws(Errno) {
    // UFFDIO_CONTINUE of a whole range of base pages takes a third of the time of populating it;
    // huge pages are mapped whole by populating.
    let installs = userFault != nil && (isReach || arena.backing == .base)
    // Not all pages of a reach are entered yet.
    let isHidden = installs && isReach
    try hostRange.map(
      mapping.range, isHidden ? [] : protection, file: file.descriptor,
      offset: mapping.range.lowerBound &+ (mapping.delta ?? 0),
      advice: arena.backing == .base ? .basePages : tableSharing.advice)
    if isHidden { try hostRange.unlock(mapping.range) }
    var made = mapping
    if installs, let userFault {
      // If it fails, populating does as well.
      made.isTrapped = (try? userFault.register(hostRange, mapping.range, .minor)) != nil
    }
    if isHidden { try hostRange.protect(mapping.range, protection) }
    changeMappings { $0.set(made) }
  }

  /// Makes guard pages accessible again if the part is mapped as it should be and has them. Needs
  /// the lock.
  private func unguard(_ extent: WindowExtents.Extent) -> Bool {
    let like = WindowMappings.Mapping(extent.range, delta: extent.delta, access: extent.protection)
    guard unsafe mappings.mapping(at: extent.range.lowerBound).delta == like.delta else {
      return false
    }
    let isMapped = unsafe mappings.parts(of: extent.range).allSatisfy {
      $0.delta == like.delta && !$0.isTrapped && $0.access == like.access
    }
    guard isMapped, (try? hostRange.guardAccess(extent.range, false)) != nil else { return false }
    unsafe extents.insert(extent)
    return true
  }

  /// Lets the kernel serve faults in a reach, all of whose pages are entered. Takes the lock.
  public func endReach(_ range: AddressRange) {
    open(range.start.rawValue..<range.end.rawValue)
  }

  /// Lets the kernel serve faults in a range, all of whose pages are entered.
  private func open(_ range: Range<UInt64>) {
    guard let userFault else { return }
    lock.withLock {
      guard unsafe mappings.traps(range) else { return }
      for part in unsafe mappings.parts(of: range) where part.isTrapped {
        var opened = part.range
        do throws(Errno) {
          if (try? userFault.unregister(hostRange, opened)) == nil {
            // All of the mapping needs no further one. Pages that another operation has not entered
            // yet are zero and its own, so they may be accessible.
            opened = unsafe mappings.mapping(at: opened.lowerBound).range
            try userFault.unregister(hostRange, opened)
          }
        } catch {
          // A thread would wait there for ever.
          return lose(error)
        }
        changeMappings { $0.update(opened) { $0.isTrapped = false } }
      }
    }
  }
}
