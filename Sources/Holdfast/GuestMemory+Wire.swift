public import HoldfastCore
internal import HoldfastLinux

extension GuestMemory {
  /// Wires a range: makes every page resident, maps it in the window, and keeps it so until it is
  /// unwired. New pages are zero (FreeBSD: `vm_map_wire`; Linux: mlock(2)).
  ///
  /// - Parameter range: whole pages, all mapped and readable.
  /// - Returns: what the call obtained.
  /// - Throws: code `invalidArgument` for an unaligned range; `invalidAddress` where a part is not
  ///   mapped or not readable; `resourceShortage` without frames or mappings or beyond the wired
  ///   limit; `pagerFailure` where a snapshot cannot be read. Nothing has changed then, except that
  ///   pages read from a snapshot may stay resident.
  /// - Complexity: O(mappings + superpages), plus the zeroing of dirty frames. Takes the address
  ///   space's lock exclusively, but not while pages are populated.
  @discardableResult
  public func wire(_ range: AddressRange) throws(HoldfastError) -> WireReceipt {
    try wire(range, path: .automatic)
  }

  package func wire(_ range: AddressRange, path: WirePath) throws(HoldfastError) -> WireReceipt {
    let start = Instant.now
    let options: WireOptions = path == .fault ? [.user, .noHoles, .faultPath] : [.user, .noHoles]
    do {
      let summary = try space.wire(range, options)
      return WireReceipt(
        self, range, summary, path: path == .fault ? .fault : .prefault,
        duration: Instant.now - start)
    } catch {
      // Pages may have become resident without being entered.
      leaveToHandlerThreads(range)
      let free = arena.geometry.bytes(space.memory.available)
      let total = arena.geometry.bytes(space.memory.allocator.allowedOccupancy.total)
      throw error.during(
        "wire \(range.length) at \(range.start)", range: range,
        advice: error.code == .resourceShortage && error.errno == nil
          ? .enlargeArena(free: free, total: total) : nil)
    }
  }

  /// Removes one wiring of a range (FreeBSD: `vm_map_unwire`; Linux: munlock(2)). The pages stay
  /// resident and mapped. Parts that are not wired stay as they are.
  ///
  /// - Throws: code `invalidArgument` for an unaligned range, `invalidAddress` where a part is not
  ///   mapped. Nothing has changed then.
  /// - Complexity: O(mappings + superpages). Takes the address space's lock exclusively.
  public func unwire(_ range: AddressRange) throws(HoldfastError) {
    do {
      try space.unwire(range)
    } catch {
      throw error.during("unwire \(range)", range: range)
    }
  }
}
