public import HoldfastCore
public import HoldfastLinux
internal import Synchronization

/// A guest's memory: its physical addresses, the segments of RAM mapped there, and the window of this
/// process in which the monitor and the guest reach them (bhyve: `vm_mem`).
///
///     let arena = try Arena(size: .gibibytes(10))
///     let memory = try GuestMemory(arena: arena, limit: .gibibytes(10))
///     let ram = try memory.allocateSegment("ram", size: .gibibytes(10))
///     let receipt = try memory.map(ram, at: .zero, options: .wired)
///
/// The pages that a guest leaves behind are dirty. A `Scrubber` of the arena's memory zeroes them in the
/// background; without one the next guest waits for that.
///
/// Safe to use from any thread.
public final class GuestMemory: Sendable {
  public let arena: Arena
  /// One past the guest's last physical address.
  public let limit: ByteCount
  /// The VM layer's address space. Changes behind the guest memory's back would break its promises,
  /// so other packages do not see it; for work on virtual memory they make one from HoldfastCore.
  package let space: AddressSpace
  let window: any GuestWindow
  /// Answers the guest's faults; nil where what is not wired cannot be reached.
  public let faultHandler: FaultHandler?
  let demandPaging: DemandPaging?
  let host: HostCapabilities
  /// Where the guest is placed in the arena's own mapping, the frame of guest address 0.
  let placement: Frame?
  /// What was zeroed when the guest was placed.
  package let zeroedAtPlacing: ByteCount

  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var segments: [String: MemorySegment] = [:]

  /// Memory without segments.
  ///
  /// - Parameters:
  ///   - limit: how far guest addresses go, a multiple of the arena's base page.
  ///   - wiredLimit: how much may be wired, over all guests that share the limit.
  ///   - hostNUMANode: which of the arena's nodes the guest's memory comes from: by default that of
  ///     the thread that wires or touches it first, then the others from near to far.
  ///   - demandPaging: how faults of the guest are answered; nil for a guest that reaches only what is
  ///     wired.
  /// - Throws: code `invalidArgument` for a limit that is zero or no multiple, or nodes of which the
  ///   arena has no memory, code `host` where the addresses cannot be reserved.
  public init(
    arena: Arena, limit: ByteCount, wiredLimit: WiredLimit = .none,
    hostNUMANode policy: DomainPolicy = .firstTouch, demandPaging: DemandPaging? = nil,
    host: HostCapabilities = HostProbe().host()
  ) throws(HoldfastError) {
    guard limit > .zero, limit.isMultiple(of: arena.geometry.pageSize), limit < .tebibytes(64)
    else {
      throw HoldfastError(
        .invalidArgument, operation: "make a guest's memory",
        reason: "the limit \(limit) is not a positive multiple of \(arena.geometry.pageSize) "
          + "below 64 TiB")
    }
    let memory = arena.memory.withPolicy(policy)
    guard memory.allocator.allowedOccupancy.total > .zero else {
      let there = arena.allocator.domains.compactMap(\.node).map(\.description)
      throw HoldfastError(
        .invalidArgument, operation: "make a guest's memory",
        reason: "the arena has no memory of node "
          + (policy.nodes ?? []).sorted().map(\.description).joined(separator: ", ")
          + (there.isEmpty ? "" : ", but of node " + there.joined(separator: ", ")),
        advice: .other("an arena of that node"))
    }
    self.arena = arena
    self.limit = limit
    self.host = host
    let own: PhysicalMemory
    if arena.backing.hasFile {
      window =
        demandPaging == nil
        ? try WindowPmap(arena: arena, length: limit, host: host)
        : try PagedWindow(arena: arena, length: limit, host: host)
      own = memory
      placement = nil
      zeroedAtPlacing = .zero
    } else {
      let pages = arena.geometry.pages(in: limit)
      guard demandPaging == nil else {
        throw HoldfastError(
          .invalidArgument, operation: "make a guest's memory",
          reason: "\(arena.backing.rawValue) is private memory, whose pages cannot come on demand",
          advice: .useBacking([.hugetlb2M, .hugetlb1G, .thp, .base]))
      }
      guard let placed = memory.placed(pages) else {
        let free = arena.geometry.bytes(memory.available)
        throw HoldfastError(
          .resourceShortage, operation: "make a guest's memory",
          reason: "\(limit) that follow each other are not free in the arena: "
            + "\(free.rawValue >> 20) MiB of \(arena.size.rawValue >> 20) MiB are free",
          advice: .useBacking([.hugetlb2M, .thp]))
      }
      window = PlacedPmap(arena: arena, start: placed.start, length: limit)
      own = placed.memory
      placement = placed.start
      zeroedAtPlacing = arena.geometry.bytes(placed.zeroed)
    }
    space = AddressSpace(
      bounds: AddressRange(.zero, .zero + limit), memory: own, pmap: window,
      wiredLimit: wiredLimit, faultGranularity: demandPaging?.granularity ?? .basePage)
    self.demandPaging = demandPaging
    faultHandler = try GuestMemory.answer(window, space, demandPaging)
  }

  /// The memory of a fork.
  init(
    _ parent: GuestMemory, space: AddressSpace, window: PagedWindow
  ) throws(HoldfastError) {
    arena = parent.arena
    limit = parent.limit
    host = parent.host
    self.window = window
    self.space = space
    demandPaging = parent.demandPaging
    placement = nil
    zeroedAtPlacing = .zero
    faultHandler = try GuestMemory.answer(window, space, demandPaging)
  }

  private static func answer(
    _ window: any GuestWindow, _ space: AddressSpace, _ paging: DemandPaging?
  ) throws(HoldfastError) -> FaultHandler? {
    guard let paging, let window = window as? PagedWindow else { return nil }
    return try FaultHandler(
      window: window, space: space, threadLimit: paging.threadLimit,
      onFailure: paging.onFailure)
  }

  deinit {
    // Before the address space goes, whose translations a guest could still be waiting for.
    faultHandler?.stop()
  }

  /// Where guest address 0 lies in this process. A monitor gives this and `limit` to KVM as a slot,
  /// and to device models; what is not mapped or not wired is not accessible there.
  ///
  /// With the backing thp-private all of it is accessible, holes too, which take memory up to the limit.
  /// The frames are another guest's soon after this guest and its segments have gone: slots and virtual
  /// processors must be gone before.
  public var hostAddress: UInt64 { window.hostRange.address }

  /// For debugging: what does not hold of the VM layer's own books, nothing where all is well. Every
  /// frame of the arena, page, wiring, reference, charge and translation is accounted for.
  ///
  /// - Parameter others: all other guests on the same arena and wired limit. None is at work.
  /// - Complexity: O(mappings + base pages).
  public func invariantProblems(with others: [GuestMemory] = []) -> [String] {
    // A guest that is placed in the arena shares its frames with nobody.
    let guests = [self] + (placement == nil ? others : [])
    // Faults may be at work yet whose touchers others have served.
    for guest in guests { guest.faultHandler?.waitUntilIdle() }
    let segments = guests.flatMap { guest in
      guest.lock.withLock { unsafe Array(guest.segments.values) }
    }
    return Invariants.problems(
      in: space.memory, spaces: guests.map(\.space), handles: segments.map(\.object))
  }

  // MARK: Segments

  /// Makes a segment of absent pages (bhyve: `vm_alloc_memseg`).
  ///
  /// - Parameter name: not empty.
  /// - Throws: code `alreadyExists` where there is one of this name and size, `invalidArgument` where
  ///   there is one of another size, or the size is zero or no multiple of the base page.
  public func allocateSegment(
    _ name: String, size: ByteCount
  ) throws(HoldfastError) -> MemorySegment {
    try allocateSegment(name, size: size, pager: nil)
  }

  func allocateSegment(
    _ name: String, size: ByteCount, pager: (any Pager)?
  ) throws(HoldfastError) -> MemorySegment {
    let operation = "allocate the segment \(name)"
    guard !name.isEmpty, size > .zero, size.isMultiple(of: arena.geometry.pageSize) else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "a segment has a name and a size that is a positive multiple of "
          + "\(arena.geometry.pageSize), not \(size)")
    }
    return try lock.withLock { () throws(HoldfastError) in
      if let old = unsafe segments[name] {
        guard old.size == size else {
          throw HoldfastError(
            .invalidArgument, operation: operation, reason: "it exists with \(old.size)")
        }
        throw HoldfastError(.alreadyExists, operation: operation, reason: "it exists")
      }
      let segment = MemorySegment(
        name: name, size: size, memory: space.memory, pager: pager)
      unsafe segments[name] = segment
      return segment
    }
  }

  /// Forgets a segment; its pages go with its last mapping (bhyve: `vm_free_memseg`).
  ///
  /// - Throws: code `invalidArgument` where it is not one of this guest's.
  public func freeSegment(_ segment: MemorySegment) throws(HoldfastError) {
    try lock.withLock { () throws(HoldfastError) in
      guard unsafe segments[segment.name] === segment else {
        throw HoldfastError(
          .invalidArgument, operation: "free the segment \(segment.name)",
          reason: "it is not one of this guest's")
      }
      unsafe segments[segment.name] = nil
    }
  }
}
