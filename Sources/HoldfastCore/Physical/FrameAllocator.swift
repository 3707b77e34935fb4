internal import Synchronization

/// Allocates physical frames (FreeBSD: `vm_phys`): a buddy system for each NUMA node
/// (`FrameDomain`), and a policy that says which of them serves an allocation.
///
/// A frame is free or allocated, and a free one is zeroed or dirty: known to be zero or not. Blocks
/// merge with free neighbors of the same domain, zeroed or dirty: a block of both kinds is
/// allocated as one, with the list of its dirty parts. Any run of allocated frames may be freed,
/// also a part of a block or several blocks at once.
///
/// `withPolicy` returns an allocator of the same frames with another policy: the two share their
/// domains, which hold all state but a counter. An object's memory has an allocator of the object's
/// policy.
///
/// The cost of every operation grows with the blocks that it touches, never with their frames. The
/// metadata take about 0.01 % of memory that is fragmented, and next to nothing otherwise.
///
/// Safe to use from any thread. A domain's lock comes after those of address spaces, objects and
/// the `ReservationPool`, and after `Arena.resizing`. No thread holds two of them.
public final class FrameAllocator: Sendable {
  /// The page sizes.
  public let geometry: Geometry
  /// The frames that the allocator manages.
  public let frames: FrameRun
  /// The domains, in the order of their frames.
  public let domains: [FrameDomain]
  /// Which domains serve allocations, and in what order.
  public let policy: DomainPolicy

  /// The order of the largest block that `allocateLargest` gives out: the largest that there is,
  /// except in a simulation of what that costs.
  package let largestBlock: Int
  /// The frames that are being zeroed in the background, of all domains.
  package let scrubbing: ScrubbingFrames
  /// The check of `checkZeroed`, of all domains.
  let audit: ZeroAudit

  /// The domain, where the allocator has only one and the policy allows it: the usual case, which
  /// takes no look at the policy.
  private let only: FrameDomain?
  private let topology: NodeTopology
  /// The indices in `domains` of those that the policy allows, in ascending order.
  private let allowed: [Int]
  /// The same from near to far, by the node that the distance is measured from. A node without a
  /// domain and distances has no entry.
  private let order: [NodeID: [Int]]
  /// Counts the allocations of a round robin (FreeBSD: `dr_iter`).
  private let iterator = Atomic<Int>(0)

  /// The numbers of frames at one moment; of several domains, at one moment for each.
  public struct Occupancy: Hashable, Sendable {
    /// Frames with memory, allocated or free.
    public let total: PageCount
    /// Free frames, zeroed or dirty.
    public let free: PageCount
    /// Free frames that are known to be zero.
    public let zeroed: PageCount

    /// The frames of both.
    static func + (left: Occupancy, right: Occupancy) -> Occupancy {
      Occupancy(
        total: left.total + right.total, free: left.free + right.free,
        zeroed: left.zeroed + right.zeroed)
    }
  }

  /// An allocated block.
  public struct Allocation: Sendable {
    /// The block.
    public let run: FrameRun
    /// Whether every byte is zero. If not, the call appended the runs that may not be to `dirty`.
    public let isZeroed: Bool
  }

  /// An allocator of domains, one or more, with contiguous frames.
  init(
    geometry: Geometry, domains: [FrameDomain], topology: NodeTopology, policy: DomainPolicy,
    largestBlock: Int
  ) {
    self.geometry = geometry
    self.largestBlock = largestBlock
    scrubbing = domains[0].scrubbing
    audit = domains[0].audit
    self.domains = domains
    self.topology = topology
    self.policy = policy
    let start = domains[0].frames.start
    frames = FrameRun(start, domains[domains.count - 1].frames.end - start)
    let allowed = domains.indices.filter { policy.allows(domains[$0].node) }
    self.allowed = allowed
    only = domains.count == 1 && allowed.count == 1 ? domains[0] : nil
    let nodes = Set(domains.compactMap(\.node)).union(topology.distances.keys)
    order = Dictionary(
      uniqueKeysWithValues: nodes.map { node in
        // The index decides where distances are equal, so the order is always the same.
        let near = allowed.sorted {
          (topology.distance(from: node, to: domains[$0].node), $0)
            < (topology.distance(from: node, to: domains[$1].node), $1)
        }
        return (node, near)
      })
  }

  /// An allocator of the same frames with another policy.
  ///
  /// - Complexity: O(nodes² · log nodes).
  public func withPolicy(_ policy: DomainPolicy) -> FrameAllocator {
    if policy == self.policy { return self }
    return FrameAllocator(
      geometry: geometry, domains: domains, topology: topology, policy: policy,
      largestBlock: largestBlock)
  }

  /// Whether both allocate the same frames, by the same policy or not.
  package func sharesFrames(with other: FrameAllocator) -> Bool { domains[0] === other.domains[0] }

  // MARK: Allocating

  /// Allocates one block of 2^order frames, a zeroed one if the domain has one.
  ///
  /// May wait for frames that are being zeroed in the background: up to 21 ms, or until they are
  /// free where the allocation would fail.
  ///
  /// - Parameters:
  ///   - isLast: the caller will not try a smaller order, so that the allocation fails without the
  ///     frames being zeroed.
  ///   - dirty: gets the runs of the block that are not known to be zero.
  /// - Returns: the block, or nil when no domain that the policy allows has one of the order.
  /// - Complexity: O(levels) for each domain, plus the dirty runs of a block of both kinds. Takes
  ///   the domains' locks one after the other.
  public func allocate(
    order: Int, isLast: Bool = true, dirty: inout [FrameRun]
  ) -> Allocation? {
    guard (0...geometry.maximumOrder).contains(order) else { return nil }
    if let only { return only.allocate(orders: order...order, isLast: isLast, dirty: &dirty) }
    for index in candidates() {
      if let block = domains[index].allocate(orders: order...order, isLast: isLast, dirty: &dirty) {
        return block
      }
    }
    return nil
  }

  /// Allocates one block of 2^order frames for a caller that would rather use a smaller block than
  /// wait, such as a page fault: a thread of idle priority, which zeroes frames, may not run for
  /// some time. Waits as `allocate(order:isLast:dirty:)` does only where no frame at all is free.
  ///
  /// - Parameter dirty: gets the runs of the block that are not known to be zero.
  /// - Returns: the block, or nil when no domain that the policy allows has one of the order.
  /// - Complexity: as `allocate(order:isLast:dirty:)`.
  func allocateNow(order: Int, dirty: inout [FrameRun]) -> Allocation? {
    let candidates = only == nil ? candidates() : [0]
    for index in candidates {
      if let block = domains[index].allocate(
        orders: order...order, isLast: false, waits: false, dirty: &dirty)
      {
        return block
      }
    }
    if candidates.contains(where: { domains[$0].largestFreeOrder != nil }) { return nil }
    return allocate(order: order, isLast: false, dirty: &dirty)
  }

  /// Allocates the largest free block of at most 2^order frames, for wiring, in the first domain of
  /// the policy's order that has any. Round robin allocates no more than a large page at a time.
  ///
  /// A zeroed block is preferred to a larger dirty one, but not if it is smaller than a large page
  /// (`Geometry.largePageOrder`). May wait as `allocate(order:isLast:dirty:)` does.
  ///
  /// - Parameter dirty: gets the runs of the block that are not known to be zero.
  /// - Returns: the block, or nil when no domain that the policy allows has a free frame.
  /// - Complexity: O(order · levels) for each domain, plus the dirty runs of a block of both kinds.
  ///   Takes the domains' locks one after the other.
  public func allocateLargest(order: Int, dirty: inout [FrameRun]) -> Allocation? {
    if order < 0 { return nil }
    return allocateLargest(order: order, limit: .zero, waits: true, dirty: &dirty)
  }

  /// The same and, behind a block of the largest order that there is, the blocks that further calls
  /// would allocate without a gap, so that a caller who needs many pays for one call.
  ///
  /// - Parameter limit: the most frames together.
  /// - Complexity: plus O(blocks), some ten instructions each.
  func allocateLargest(order: Int, limit: PageCount, dirty: inout [FrameRun]) -> Allocation? {
    allocateLargest(order: order, limit: limit, waits: true, dirty: &dirty)
  }

  /// The same for a caller that would rather use a smaller block than wait: it waits only where no
  /// frame at all is free.
  func allocateLargestNow(order: Int, dirty: inout [FrameRun]) -> Allocation? {
    allocateLargest(order: order, limit: .zero, waits: false, dirty: &dirty)
      ?? allocateLargest(order: order, limit: .zero, waits: true, dirty: &dirty)
  }

  private func allocateLargest(
    order: Int, limit: PageCount, waits: Bool, dirty: inout [FrameRun]
  ) -> Allocation? {
    var order = min(order, largestBlock)
    if let only {
      return only.allocateLargest(order: order, waits: waits, limit: limit, dirty: &dirty)
    }
    if policy.order == .roundRobin, allowed.count > 1 {
      order = min(order, geometry.largePageOrder)
    }
    for index in candidates() {
      if let block = domains[index].allocateLargest(
        order: order, waits: waits, limit: limit, dirty: &dirty)
      {
        return block
      }
    }
    return nil
  }

  /// Allocates the largest block of at most 2^order frames of which every frame is free and dirty,
  /// in any domain, so that it can be zeroed and freed as zeroed.
  ///
  /// Called between `begin` and `end` of `scrubbing`: otherwise another allocation could fail
  /// because the block is taken.
  ///
  /// - Returns: the block, or nil when no free frame is dirty.
  /// - Complexity: O(order + levels + domains). Takes the domains' locks one after the other.
  package func takeDirty(largestOrder: Int) -> FrameRun? {
    if let only { return only.takeDirty(largestOrder: largestOrder) }
    let orders = domains.map(\.largestDirtyOrder)
    guard let order = orders.max(), order >= 0, let index = orders.firstIndex(of: order) else {
      return nil
    }
    return domains[index].takeDirty(largestOrder: largestOrder)
  }

  /// Allocates the block that starts at a frame, so that it lies in place beside others.
  ///
  /// - Parameters:
  ///   - wanted: the block's first frame.
  ///   - order: that of a page of some level.
  ///   - dirty: gets the runs of the block that are not known to be zero.
  /// - Returns: the block, or nil when a part of it is not free or not this allocator's, when it is
  ///   not naturally aligned or of another order, or when the policy does not allow its domain. Frames being zeroed
  ///   count as not free here, and are not reclaimed.
  /// - Complexity: O(levels), plus the dirty runs. Takes the domain's lock.
  public func allocate(_ wanted: Frame, order: Int, dirty: inout [FrameRun]) -> Allocation? {
    guard (0...geometry.maximumOrder).contains(order), order % Geometry.levelShift == 0,
      frames.contains(wanted), wanted.isAligned(toOrder: order)
    else { return nil }
    if let only { return only.allocate(wanted, order: order, dirty: &dirty) }
    let domain = domain(of: wanted)
    return policy.allows(domain.node) ? domain.allocate(wanted, order: order, dirty: &dirty) : nil
  }

  /// Whether the policy allows a frame to be allocated.
  ///
  /// - Complexity: O(log domains).
  func allows(_ frame: Frame) -> Bool {
    only != nil || policy.nodes == nil || policy.allows(domain(of: frame).node)
  }

  /// The indices of an allocation's domains, in the order in which they are tried.
  private func candidates() -> [Int] {
    switch policy.order {
    case .prefer(let node): return order[node] ?? allowed
    case .firstTouch: return topology.local().flatMap { order[$0] } ?? allowed
    case .roundRobin:
      guard allowed.count > 1 else { return allowed }
      let number = iterator.wrappingAdd(1, ordering: .relaxed).oldValue
      let first = Int(UInt(bitPattern: number) % UInt(allowed.count))
      return Array(allowed[first...] + allowed[..<first])
    }
  }

  // MARK: Freeing

  /// Frees a run of allocated frames. Traps on a frame that is free already or not this
  /// allocator's.
  ///
  /// - Parameter zeroed: whether every byte of the run is zero.
  /// - Complexity: O(blocks of the run · levels). Takes the domains' locks one after the other.
  public func free(_ run: FrameRun, zeroed: Bool) {
    if let only { return only.free(run, zeroed: zeroed) }
    precondition(
      run.start >= frames.start && run.end <= frames.end, "a foreign frame is freed")
    var start = run.start
    while start < run.end {
      let domain = domain(of: start)
      let end = min(run.end, domain.frames.end)
      domain.free(FrameRun(start, end - start), zeroed: zeroed)
      start = end
    }
  }

  /// Ends all allocation of the frames for good, by this allocator and those of other policies. What
  /// is allocated can be used and freed as before, but is not shared with further forks, and frames
  /// that forks share never become one's own (`MemoryObject.collapse`).
  ///
  /// Only for frames that something may still reach after they are freed, or after it may no longer
  /// write to them.
  package func close() { for domain in domains { domain.close() } }

  /// Whether `close` was called.
  package var isClosed: Bool { domains[0].isClosed }

  /// Takes free frames out of use, the largest blocks first and none smaller than a large page,
  /// whatever the policy (Linux: `offline_pages`). Their memory may be returned to the host.
  ///
  /// - Returns: runs of at most `limit` frames together, which the caller owns until it brings them
  ///   online again.
  /// - Complexity: O(blocks). Takes the domains' locks one after the other.
  package func takeOffline(_ limit: PageCount) -> [FrameRun] {
    var runs: [FrameRun] = []
    var rest = limit
    for domain in domains.reversed() where rest > .zero {
      let taken = domain.takeOffline(rest)
      runs += taken
      rest -= taken.reduce(.zero) { $0 + $1.count }
    }
    return runs
  }

  /// Puts frames that were offline into use: they are free afterwards (Linux: `online_pages`).
  ///
  /// - Parameters:
  ///   - run: frames of one domain.
  ///   - zeroed: whether every byte of the run is zero.
  package func bringOnline(_ run: FrameRun, zeroed: Bool) {
    domain(of: run.start).bringOnline(run, zeroed: zeroed)
  }

  // MARK: Inspecting

  /// The domain of one of the allocator's frames. Traps on another frame.
  ///
  /// - Complexity: O(log domains).
  package func domain(of frame: Frame) -> FrameDomain {
    precondition(frames.contains(frame), "a foreign frame is looked up")
    return domains[domains.partitioningIndex { $0.frames.end > frame }]
  }

  /// The numbers of free and zeroed frames of all domains, whatever the policy.
  ///
  /// - Complexity: O(domains). Takes their locks one after the other.
  public var occupancy: Occupancy {
    if let only { return only.occupancy }
    return domains.dropFirst().reduce(domains[0].occupancy) { $0 + $1.occupancy }
  }

  /// The numbers of free and zeroed frames of the domains that the policy allows.
  ///
  /// - Complexity: O(domains). Takes their locks one after the other.
  public var allowedOccupancy: Occupancy {
    let none = Occupancy(total: .zero, free: .zero, zeroed: .zero)
    return allowed.reduce(none) { $0 + domains[$1].occupancy }
  }

  /// The largest order of which a block is free in any domain, or nil when no frame is free.
  package var largestFreeOrder: Int? { domains.compactMap(\.largestFreeOrder).max() }

  /// The blocks that the free memory consists of.
  ///
  /// - Complexity: O(memory / largest block + superpages of which a part is free). Takes the
  ///   domains' locks one after the other.
  public var freeBlocks: FreeBlocks {
    domains.dropFirst().reduce(domains[0].freeBlocks) { $0 + $1.freeBlocks }
  }

  /// The size of the allocator's own data.
  public var metadata: ByteCount { domains.reduce(.zero) { $0 + $1.metadata } }
}
