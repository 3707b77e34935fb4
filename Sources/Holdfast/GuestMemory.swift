public import HoldfastCore
public import HoldfastLinux
internal import Synchronization

/// A guest's memory: its physical addresses, the segments of RAM that are mapped there, and the
/// window, the range of this process's addresses at which the monitor and the guest access them
/// (bhyve: `vm_mem`).
///
///     let arena = try Arena(size: .gibibytes(10), for: .wiring)
///     let memory = try GuestMemory(arena: arena, limit: .gibibytes(10), for: .wiring)
///     let ram = try memory.allocateSegment("ram", size: .gibibytes(10))
///     let receipt = try memory.map(ram, at: .zero, options: .wired)
///
/// A guest leaves dirty pages behind. A `Scrubber` zeroes them in the background; without one the
/// next guest waits while they are zeroed.
///
/// Safe to use from any thread.
public final class GuestMemory: Sendable {
  /// The arena that the guest's memory comes from.
  public let arena: Arena
  /// The end of the guest's physical addresses, which start at 0.
  public let limit: ByteCount
  /// The VM layer's address space. Changes behind the guest memory's back would break its promises,
  /// so other packages do not see it; for work on virtual memory they make one from HoldfastCore.
  package let space: AddressSpace
  let window: any GuestWindow
  /// Serves the guest's page faults; nil without demand paging.
  public let faultHandler: FaultHandler?
  let demandPaging: DemandPaging?
  let host: HostCapabilities
  /// Where the guest accesses its memory.
  public var placement: GuestPlacement { directStart == nil ? .window : .direct }
  /// The frame of guest address 0 for a guest in the arena's own mapping; else nil.
  let directStart: Frame?
  /// Why it accesses it there.
  let placementReason: String
  /// Bytes that were zeroed when frames were set aside for a guest on private memory.
  package let zeroedAtPlacing: ByteCount

  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var segments: [String: MemorySegment] = [:]
  /// The clones of templates whose pages are read ahead or recorded, in the order of their
  /// creation.
  private nonisolated(unsafe) var clones: [TemplateClone] = []

  /// Creates guest memory without segments.
  ///
  /// - Parameters:
  ///   - arena: where the memory comes from. Several guests may share an arena.
  ///   - limit: the end of the guest's addresses, a multiple of the arena's page size below 64 TiB.
  ///   - purpose: what the guest does with its memory; nil for all that its arena allows: mapping,
  ///     or wiring on private memory. See ``GuestPurpose``.
  ///   - wiredLimit: how much may be wired, summed over all guests that share the limit.
  ///   - policy: the NUMA nodes that the memory comes from: by default the node of the thread that
  ///     wires or accesses it first, then the others from near to far.
  ///   - demandPaging: how page faults are served; nil for a guest that accesses only wired memory.
  ///   - host: what the host offers.
  /// - Throws: code `invalidArgument` where the limit is zero, unaligned or too large, where the
  ///   arena has no memory of the policy's nodes, for demand paging on private memory or with the
  ///   purpose wiring, and for mapping on private memory; `resourceShortage` where private memory
  ///   has no free run of `limit` bytes; `unsupported` where demand paging needs of userfaultfd
  ///   what this process or kernel lacks; `host` where addresses or a handler thread cannot be
  ///   obtained. Advice says what would help.
  /// - Complexity: O(1). In the arena's own mapping O(blocks), plus the zeroing of dirty frames;
  ///   takes the arena's allocation locks there.
  public init(
    arena: Arena, limit: ByteCount, for purpose: GuestPurpose? = nil,
    wiredLimit: WiredLimit = .none,
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
    if demandPaging != nil { try GuestMemory.checkPaging(arena, purpose) }
    let choice = try GuestPlacementChoice(
      arena, memory, limit: limit, purpose: demandPaging == nil ? purpose : .mapping)
    if let placed = choice.placed {
      window = PlacedPmap(arena: arena, start: placed.start, length: limit)
    } else if demandPaging == nil {
      window = try WindowPmap(arena: arena, length: limit, host: host)
    } else {
      window = try PagedWindow(
        arena: arena, length: limit, host: host,
        forProcessors: demandPaging?.serving == .processors)
    }
    directStart = choice.placed?.start
    placementReason = choice.reason
    zeroedAtPlacing = arena.geometry.bytes(choice.placed?.zeroed ?? .zero)
    let own = choice.placed?.memory ?? memory
    space = try AddressSpace(
      bounds: AddressRange(from: .zero, to: .zero + limit), memory: own, pmap: window,
      wiredLimit: wiredLimit, faultGranularity: demandPaging?.granularity ?? .basePage)
    self.demandPaging = demandPaging
    faultHandler = try GuestMemory.handler(window, space, demandPaging)
  }

  private static func checkPaging(
    _ arena: Arena, _ purpose: GuestPurpose?
  ) throws(HoldfastError) {
    let operation = "make a guest's memory"
    guard arena.backing.hasFile else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "\(arena.backing.rawValue) is private memory, which cannot be paged on demand",
        advice: .useBacking(Backing.withFile))
    }
    guard purpose != .wiring else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "memory for wiring is not paged on demand",
        advice: .other("guest memory for mapping"))
    }
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
    directStart = nil
    placementReason = "the guest is a fork"
    zeroedAtPlacing = .zero
    faultHandler = try GuestMemory.handler(window, space, demandPaging)
  }

  private static func handler(
    _ window: any GuestWindow, _ space: AddressSpace, _ paging: DemandPaging?
  ) throws(HoldfastError) -> FaultHandler? {
    guard let paging, let window = window as? PagedWindow else { return nil }
    return try FaultHandler(
      window: window, space: space, threadLimit: paging.threadLimit,
      onFailure: paging.onFailure)
  }

  deinit {
    // First: their threads enter pages, for which a handler thread may have to read.
    for clone in unsafe clones { clone.end() }
    // Before the address space is released: a thread could still be waiting for its translations.
    faultHandler?.stop()
  }

  /// All of the guest's addresses, from 0 up to the limit.
  public var addresses: AddressRange { AddressRange(from: .zero, to: .zero + limit) }

  /// The address of guest address 0 in this process. A monitor gives this and `limit` to KVM as a
  /// slot, and to device models. An access to memory that is not mapped, or without demand paging
  /// not wired, fails with SIGSEGV, or EFAULT in KVM.
  ///
  /// The kernel and devices that keep references to the memory beyond a system call, such as vhost
  /// or io_uring with fixed buffers, need it held: see `hold(_:for:)`.
  ///
  /// In the arena's own mapping (``placement``) all addresses up to the limit are accessible and
  /// take memory. Other guests get the frames soon after this guest and its segments are released,
  /// so remove slots and virtual processors first.
  ///
  /// Reading this ends ``FaultServing/processors`` for good, since another thread's access to a
  /// page that its processors have not accessed yet would fail with SIGBUS: handler threads serve
  /// all faults from then on. `VirtualMachine.addSlots(of:flags:)` does not read it.
  public var hostAddress: UInt64 {
    leaveToHandlerThreads()
    return window.hostRange.address
  }

  /// The same for the slots of a `VirtualMachine` that serves faults.
  package var slotAddress: UInt64 { window.hostRange.address }

  /// Checks the VM layer's invariants, for debugging: every frame of the arena, page, wiring,
  /// reference, charge and translation is accounted for. Waits until the faults in progress are
  /// served.
  ///
  /// - Parameter others: all other guests on the same arena and wired limit. No thread uses any of
  ///   the guests during the call.
  /// - Returns: what does not hold, a sentence each; empty where all holds.
  /// - Complexity: O(mappings + base pages). Takes all locks in turn.
  public func invariantProblems(with others: [GuestMemory] = []) -> [String] {
    // A guest in the arena's own mapping has frames that no other guest's checks see.
    let guests = [self] + (directStart == nil ? others.filter { $0.directStart == nil } : [])
    let placed = directStart == nil ? others.filter { $0.directStart != nil } : []
    let held = placed.reduce(PageCount.zero) { $0 + arena.geometry.pages(in: $1.limit) }
    // A handler may still be at a fault that another one has served.
    for guest in guests { guest.faultHandler?.waitUntilIdle() }
    let segments = guests.flatMap { guest in
      guest.lock.withLock { unsafe Array(guest.segments.values) }
    }
    return Invariants.problems(
      in: space.memory, spaces: guests.map(\.space), handles: segments.map(\.object), held: held)
  }

  // MARK: Segments

  /// Creates a segment of absent pages (bhyve: `vm_alloc_memseg`).
  ///
  /// - Parameters:
  ///   - name: the segment's name, not empty.
  ///   - size: a positive multiple of the arena's page size.
  /// - Throws: code `alreadyExists` where the guest has a segment of this name and size;
  ///   `invalidArgument` where it has one of this name and another size, where the name is empty,
  ///   or where the size is zero or unaligned.
  /// - Complexity: O(1). Takes the guest memory's lock.
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
        reason: name.isEmpty
          ? "the name is empty"
          : "the size \(size) is not a positive multiple of \(arena.geometry.pageSize)")
    }
    return try lock.withLock { () throws(HoldfastError) in
      if let old = unsafe segments[name] {
        guard old.size == size else {
          throw HoldfastError(
            .invalidArgument, operation: operation,
            reason: "a segment of that name exists, with \(old.size)")
        }
        throw HoldfastError(
          .alreadyExists, operation: operation, reason: "a segment of that name exists")
      }
      let segment = MemorySegment(
        name: name, size: size, memory: space.memory, pager: pager)
      unsafe segments[name] = segment
      if let clone = segment.clone { unsafe clones.append(clone) }
      return segment
    }
  }

  /// What is read ahead or recorded, in the order of creation. Takes the guest memory's lock.
  var templateClones: [TemplateClone] { lock.withLock { unsafe clones } }

  /// Removes a segment's name from the guest. Its pages are freed when its last mapping and the
  /// segment object are gone (bhyve: `vm_free_memseg`).
  ///
  /// - Throws: code `invalidArgument` where the segment is not one of this guest's.
  /// - Complexity: O(1). Takes the guest memory's lock.
  public func freeSegment(_ segment: MemorySegment) throws(HoldfastError) {
    try lock.withLock { () throws(HoldfastError) in
      guard unsafe segments[segment.name] === segment else {
        throw HoldfastError(
          .invalidArgument, operation: "free the segment \(segment.name)",
          reason: "it is not a segment of this guest")
      }
      unsafe segments[segment.name] = nil
    }
  }
}
