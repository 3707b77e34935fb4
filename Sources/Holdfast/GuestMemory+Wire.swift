public import HoldfastCore
internal import HoldfastLinux

extension GuestMemory {
  /// Wires what is mapped in a range, all of which must be mapped and readable.
  ///
  /// - Throws: as `AddressSpace.wire`; nothing has changed then.
  @discardableResult
  public func wire(_ range: AddressRange) throws(HoldfastError) -> WireReceipt {
    try wire(range, path: .automatic)
  }

  package func wire(_ range: AddressRange, path: WirePath) throws(HoldfastError) -> WireReceipt {
    let clock = ContinuousClock()
    let start = clock.now
    let options: WireOptions = path == .fault ? [.user, .noHoles, .faultPath] : [.user, .noHoles]
    do {
      let summary = try space.wire(range, options)
      return WireReceipt(
        self, range, summary, path: path == .fault ? .fault : .prefault,
        duration: clock.now - start)
    } catch {
      let free = arena.geometry.bytes(space.memory.available)
      let total = arena.geometry.bytes(space.memory.allocator.allowedOccupancy.total)
      throw error.during(
        "wire \(range.length) at \(range.start)", range: range,
        advice: error.code == .resourceShortage && error.errno == nil
          ? .enlargeArena(free: free, total: total) : nil)
    }
  }

  /// Gives the wiring of a range back; the pages stay resident and mapped. What was not wired stays
  /// as it is.
  ///
  /// - Throws: codes `invalidAddress` for a hole, `invalidArgument` for a range that does not start
  ///   and end on a page; nothing has changed then.
  /// - Complexity: O(mappings + superpages).
  public func unwire(_ range: AddressRange) throws(HoldfastError) {
    do {
      try space.unwire(range)
    } catch {
      throw error.during("unwire \(range)", range: range)
    }
  }
}
