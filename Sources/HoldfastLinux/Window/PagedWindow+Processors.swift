package import HoldfastCore
internal import SystemPackage

/// First accesses that virtual processors serve.
///
/// A thread that waits for a handler thread is put to sleep and woken, which takes several times as
/// long as the page fault itself. With UFFD_FEATURE_SIGBUS the access fails instead: KVM_RUN returns
/// to the processor's own thread, which enters the page and runs the guest again. But whatever else
/// accesses the memory fails too: the kernel's walk through the guest's page tables, its copies for
/// a system call, a thread of the monitor (SIGBUS). So only pages that were never entered are
/// trapped in this way, and their memory was never written to:
///
/// - The window begins as *nothing* that fails. A region that is mapped for its first page fails
///   where its other pages are absent (`mapInPlace`). All other mappings are trapped for handler
///   threads, or open.
/// - Before a page that was entered is removed or write-protected, its mapping is *handed over*: one
///   that traps for handler threads, with the same pages entered, takes its place.
/// - Memory that may have contents and is not entered, such as that of a pager or what a device
///   holds, is handed over by the guest's memory before it is mapped or used.
///
/// A handed-over range never becomes one that fails again. Transparent huge pages have none: when
/// the kernel collapses pages it takes them out of the page tables.
extension PagedWindow {
  /// Whether processors serve first accesses, somewhere in the window. Takes the lock.
  package var isForProcessors: Bool { lock.withLock { unsafe servesProcessors } }

  /// Has handler threads serve all faults of a range from now on; nil for all of the window. A
  /// range that has no room for a mapping of its own takes the mappings around it with it. Takes
  /// the lock.
  ///
  /// - Complexity: O(mappings of the range), and O(pages) where regions of base pages are replaced.
  package func handOver(_ range: AddressRange?) {
    if failing == nil { return }
    lock.withLock {
      let all = 0..<hostRange.length.rawValue
      let part = (range.map { $0.start.rawValue..<$0.end.rawValue })?.clamped(to: all) ?? all
      if range == nil { unsafe servesProcessors = false }
      do throws(Errno) {
        try handOverLocked(part)
      } catch {
        lose(error)
      }
    }
  }

  /// The userfaultfd that traps the faults of a mapping.
  func userFault(of mapping: WindowMappings.Mapping) -> Userfaultfd {
    mapping.isFailing ? failing ?? faults : faults
  }

  /// Has handler threads serve all faults of a range from now on. Needs the lock.
  func handOverLocked(_ range: Range<UInt64>) throws(Errno) {
    if failing == nil { return }
    if unsafe isClosed || loss != nil { return }
    for part in unsafe mappings.parts(of: range) where part.isFailing {
      // A wider replacement may have taken this one with it.
      guard unsafe mappings.mapping(at: part.range.lowerBound).isFailing else { continue }
      var new = part
      new.isFailing = false
      if !allows(new) { new.range = unsafe mappings.mapping(at: part.range.lowerBound).range }
      do throws(Errno) {
        try replace(new)
      } catch {
        // There is no room for a second mapping. Pages that were entered are entered again when a
        // handler thread serves their faults.
        try clearAtOnce(new.range)
      }
    }
  }

  /// Puts a mapping that traps for handler threads in place of one that fails, with the same pages.
  /// Needs the lock.
  private func replace(_ new: WindowMappings.Mapping) throws(Errno) {
    guard let delta = new.delta else {
      try moveEmpty(to: new.range)
      return changeMappings { $0.set(new) }
    }
    let start = new.range.lowerBound
    let all = 0..<UInt64(new.range.count)
    let aside = try HostRange.shared(
      all.upperBound, file: file.descriptor, offset: start &+ delta, advice: advice)
    do throws(Errno) {
      try faults.register(aside, all, .all)
      try aside.protect(all, .readWrite)
      for extent in unsafe extents.parts(of: new.range) where !extent.isVacant {
        let inside = extent.range.lowerBound - start..<extent.range.upperBound - start
        try faults.install(aside, inside)
      }
      try move(aside, to: start)
    } catch {
      aside.unmap()
      throw error
    }
    changeMappings { $0.set(new) }
  }

  /// Maps a region in place, of which no page was ever entered, so that accesses to the pages other
  /// than those of `extent` fail. Until that is done accesses to all of them fail, as before; the
  /// processor that serves such a fault waits for the lock. Needs the lock.
  func mapInPlace(
    _ mapping: WindowMappings.Mapping, _ extent: WindowExtents.Extent
  ) throws(Errno) {
    guard let failing else { throw .invalidArgument }
    let region = mapping.range
    do throws(Errno) {
      try hostRange.map(
        region, [], file: file.descriptor, offset: region.lowerBound &+ (mapping.delta ?? 0),
        advice: advice)
      // Under mlockall(2) the kernel would populate what becomes accessible.
      try hostRange.unlock(region)
      try failing.register(hostRange, region, .absent)
      try hostRange.protect(region, .readWrite)
      try failing.install(hostRange, extent.range)
    } catch {
      restore(region)
      throw error
    }
    changeMappings { $0.set(mapping) }
    unsafe extents.remove(region)
    unsafe extents.insert(extent)
  }
}
