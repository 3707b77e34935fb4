public import HoldfastCore
internal import HoldfastLinux

extension GuestMemory {
  /// How a segment is mapped (bhyve: `VM_MEMMAP_F_WIRED`).
  public struct MapOptions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// Wire every page before the call returns.
    public static let wired = MapOptions(rawValue: 1)
  }

  /// Which way pages are wired; tests and benchmarks may choose.
  package enum WirePath: String, Sendable, CaseIterable {
    case automatic = "auto"
    case prefault
    case fault
  }

  /// Maps a part of a segment at a guest address and, if asked to, wires it (bhyve: `vm_mmap_memseg`).
  /// If the wiring fails the mapping is taken away again.
  ///
  /// - Parameters:
  ///   - offset: where in the segment the part begins.
  ///   - length: nil for the rest of the segment.
  /// - Returns: what was obtained.
  /// - Throws: codes `invalidArgument` for no protection, or a part that is not aligned or not in
  ///   bounds; `noSpace` where something is mapped; `resourceShortage` without frames, translations
  ///   or over the wired limit.
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
    let operation = "map the segment \(segment.name) at \(address)"
    guard segment.object.memory.allocator.sharesFrames(with: space.memory.allocator) else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: placement == nil ? "it is of another arena" : "it is another guest's")
    }
    guard offset <= segment.size,
      let range = AddressRange(start: address, length: length ?? segment.size - offset),
      offset.isMultiple(of: arena.geometry.pageSize)
    else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "offset \(offset) and length are not a page-aligned part of \(segment.size)")
    }
    guard !protection.isEmpty else {
      throw HoldfastError(
        .invalidArgument, operation: operation, range: range, reason: "no protection is given")
    }
    try place(segment, offset, at: range, protection, options, operation)
    do {
      try space.map(
        segment.object, offset: PageIndex(arena.geometry.pages(in: offset).rawValue), at: range,
        protection: protection)
    } catch {
      throw error.during(operation, range: range)
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
        // The range was accepted by map, so it is one that remove accepts.
        preconditionFailure("a mapping cannot be taken back: \(failure)")
      }
      throw error
    }
  }

  /// Where the guest is placed in the arena's own mapping, gives the segment its place there; checks what
  /// cannot be had so.
  private func place(
    _ segment: MemorySegment, _ offset: ByteCount, at range: AddressRange,
    _ protection: Protection, _ options: MapOptions, _ operation: String
  ) throws(HoldfastError) {
    guard let placement else { return }
    func refusal(_ reason: String) -> HoldfastError {
      HoldfastError(
        .invalidArgument, operation: operation, range: range,
        reason: "\(arena.backing.rawValue) is private memory, which the guest reaches where it is: "
          + reason, advice: .useBacking([.hugetlb2M, .hugetlb1G, .thp, .base]))
    }
    guard options.contains(.wired) else {
      throw refusal("pages cannot come on demand, only wired")
    }
    guard protection.isSuperset(of: .readWrite) else {
      throw refusal("it cannot be protected from writing")
    }
    guard range.end <= .zero + limit else { return }
    let index = PageIndex(arena.geometry.pages(in: offset).rawValue)
    let frame = placement + arena.geometry.pages(in: range.start - .zero)
    guard segment.object.place(index, at: frame) else {
      throw refusal("a segment has one place, and this one has another already")
    }
  }

  /// Takes mappings of a range away, wired or not (bhyve: `vm_munmap_memseg`). What is not mapped is
  /// passed over.
  ///
  /// - Throws: code `invalidArgument` for a range that does not start and end on a page,
  ///   `resourceShortage` where the host has no room to split its mappings; nothing has changed then.
  /// - Complexity: O(mappings + superpages).
  public func unmap(_ range: AddressRange) throws(HoldfastError) {
    do {
      try space.remove(range)
    } catch {
      throw error.during("unmap \(range)", range: range)
    }
  }
}
