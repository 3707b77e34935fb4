public import HoldfastCore
internal import HoldfastLinux

extension GuestMemory {
  /// How a segment is mapped (bhyve: `VM_MEMMAP_F_WIRED`).
  public struct MapOptions: OptionSet, Hashable, Sendable {
    /// The options as bits.
    public let rawValue: UInt8

    /// Creates options from bits.
    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// Wire every page before the call returns.
    public static let wired = MapOptions(rawValue: 1)
  }

  /// The way to wire pages. Tests and benchmarks choose; the public calls use `automatic`.
  package enum WirePath: String, Sendable, CaseIterable {
    case automatic = "auto"
    case prefault
    case fault
  }

  /// Maps a part of a segment at a guest address and, with the option `wired`, wires it (bhyve:
  /// `vm_mmap_memseg`; FreeBSD: `vm_map_insert`). If the wiring fails, the mapping is removed
  /// again; where the kernel's limit of mappings prevents even that, the error says that it remains.
  ///
  /// - Parameters:
  ///   - segment: a segment of this guest or, for a guest with a window, of another guest with one
  ///     on the same arena.
  ///   - address: where the part starts in the guest, a multiple of the arena's page size.
  ///   - offset: where the part starts in the segment, a multiple of the arena's page size.
  ///   - length: the part's length, or nil for the rest of the segment.
  ///   - protection: what the guest may do with the memory.
  ///   - options: whether to wire it.
  /// - Returns: what the call obtained.
  /// - Throws: code `invalidArgument` for an empty or unaligned part, one beyond the segment or the
  ///   guest's limit, an empty protection, a segment of another arena, or what a guest for wiring
  ///   cannot do (mappings that are not wired or not writable, a second mapping); `noSpace` where a
  ///   part
  ///   of the range is mapped. With `wired` also `resourceShortage`, `pagerFailure` and
  ///   `invalidAddress`, as `wire(_:)`. Nothing is mapped then, unless the error says so.
  /// - Complexity: O(mappings), plus with `wired` that of `wire(_:)`. Takes the address space's
  ///   lock exclusively.
  @discardableResult
  public func map(
    _ segment: MemorySegment, at address: Address, offset: ByteCount = .zero,
    length: ByteCount? = nil, protection: Protection = .readWrite, options: MapOptions = []
  ) throws(HoldfastError) -> WireReceipt {
    try map(
      segment, at: address, offset: offset, length: length, protection: protection,
      options: options, path: .automatic)
  }

  package func map(
    _ segment: MemorySegment, at address: Address, offset: ByteCount = .zero,
    length: ByteCount? = nil, protection: Protection = .readWrite, options: MapOptions,
    path: WirePath
  ) throws(HoldfastError) -> WireReceipt {
    // Only an error needs the text.
    var operation: String { "map the segment \(segment.name) at \(address)" }
    guard segment.object.memory.allocator.sharesFrames(with: space.memory.allocator) else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: directStart == nil
          ? "the segment is of another arena" : "the segment is of another guest")
    }
    guard offset <= segment.size,
      let range = AddressRange(start: address, length: length ?? segment.size - offset),
      offset.isMultiple(of: arena.geometry.pageSize)
    else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "the part at offset \(offset)" + (length.map { " of \($0)" } ?? "")
          + " is not aligned to \(arena.geometry.pageSize), or extends past the segment's "
          + "\(segment.size)")
    }
    guard !protection.isEmpty else {
      throw HoldfastError(
        .invalidArgument, operation: operation, range: range, reason: "the protection is empty")
    }
    try place(segment, offset, at: range, protection, options)
    do {
      try space.map(
        segment.object, offset: PageIndex(arena.geometry.pages(in: offset).rawValue), at: range,
        protection: protection)
    } catch {
      throw error.during(operation, range: range)
    }
    leaveSharedPages(segment, offset: offset, range)
    // Without demand paging only a wire makes pages accessible, and reads them.
    if demandPaging != nil, !options.contains(.wired) {
      segment.clone?.beginPrefetch(segment.object, space)
    }
    guard options.contains(.wired) else {
      return WireReceipt(self, range, WireSummary(), path: nil, duration: .zero)
    }
    do {
      return try wire(range, path: path)
    } catch {
      do {
        try space.remove(range)
      } catch let failure {
        // The wire may have joined the range with a mapping of the kernel beside it, and others may
        // have used up the room to split it since.
        throw HoldfastError(
          error.code, operation: error.operation, range: error.range, address: error.address,
          reason: "\(error.reason); and the mapping remains, not wired, because it cannot be "
            + "removed: \(failure.reason)",
          errno: error.errno, advice: failure.advice ?? error.advice)
      }
      throw error
    }
  }

  /// For a guest in the arena's own mapping, gives the segment its place there, and refuses what
  /// such a guest cannot do.
  private func place(
    _ segment: MemorySegment, _ offset: ByteCount, at range: AddressRange,
    _ protection: Protection, _ options: MapOptions
  ) throws(HoldfastError) {
    guard let directStart else { return }
    func refusal(_ reason: String) -> HoldfastError {
      directRefusal("map the segment \(segment.name) at \(range.start)", range, reason)
    }
    guard options.contains(.wired) else {
      throw refusal("it must be wired, since it cannot be paged on demand")
    }
    guard protection.isSuperset(of: .readWrite) else {
      throw refusal("it cannot be write-protected")
    }
    guard range.end <= .zero + limit else { return }
    let index = PageIndex(arena.geometry.pages(in: offset).rawValue)
    let frame = directStart + arena.geometry.pages(in: range.start - .zero)
    guard segment.object.place(index, at: frame) else {
      throw refusal("the segment is mapped at another address already")
    }
  }

  /// The error of a call that a guest in the arena's own mapping cannot serve.
  private func directRefusal(
    _ operation: String, _ range: AddressRange, _ reason: String
  ) -> HoldfastError {
    HoldfastError(
      .invalidArgument, operation: operation, range: range,
      reason: "the guest is in the arena's own mapping, for wiring: " + reason,
      advice: arena.backing.hasFile
        ? .other("guest memory for mapping") : .useBacking(Backing.withFile))
  }

  /// Removes all mappings of a range, wired or not (bhyve: `vm_munmap_memseg`; FreeBSD:
  /// `vm_map_remove`). Parts that are not mapped are skipped. Other guests may get the frames at
  /// once, so end the accesses of devices before, or hold the pages (`hold`).
  ///
  /// - Throws: code `invalidArgument` for an unaligned range, or a part of a mapping of a guest for
  ///   wiring in the arena's own mapping; `resourceShortage` where the kernel's limit of mappings
  ///   leaves no room to split one. Nothing has changed then.
  /// - Complexity: O(mappings + superpages). Takes the address space's lock exclusively.
  public func unmap(_ range: AddressRange) throws(HoldfastError) {
    if directStart != nil, space.splitsEntry(range) {
      throw directRefusal(
        "unmap \(range)", range, "a part of a mapping would stay accessible, and keep its frames")
    }
    do {
      try space.remove(range)
    } catch {
      throw error.during("unmap \(range)", range: range)
    }
  }

  /// Changes what accesses to a range are allowed (FreeBSD: `vm_map_protect`; Linux: mprotect(2)).
  /// An access that is no longer allowed fails as one to memory that is not there.
  ///
  /// - Throws: code `invalidArgument` for an unaligned range, and in the arena's own mapping for
  ///   less than reading and writing; `invalidAddress` where a part is not mapped;
  ///   `resourceShortage` where the kernel's limit of mappings leaves no room to split one. Nothing
  ///   has changed then.
  /// - Complexity: O(log mappings + mappings of the range). Takes the address space's lock
  ///   exclusively.
  public func protect(
    _ range: AddressRange, _ protection: Protection
  ) throws(HoldfastError) {
    do {
      try space.protect(range, protection)
    } catch {
      throw error.during("protect \(range)", range: range)
    }
  }
}
