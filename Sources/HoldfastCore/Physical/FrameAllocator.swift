internal import Synchronization

/// Allocates physical frames: a buddy system from the base page to the largest superpage that
/// keeps zeroed and dirty frames apart (FreeBSD: `vm_phys`), one for each NUMA node that the frames
/// lie on (`FrameDomain`), and a policy that says which of them an allocation is served from.
///
/// A frame is free or allocated, and a free one is known to be zero or counts as dirty. Blocks
/// merge with free neighbours of the same domain, whatever the kind of these: a block of both kinds
/// is given out as one, with the list of its dirty parts. Any run of allocated frames may be freed,
/// also a part of a block or several blocks at once.
///
/// `withPolicy` gives the same frames by another policy: all that changes is in the domains, which
/// the two share. An object's memory has an allocator of the object's policy.
///
/// The cost of every operation grows with the blocks that it touches, never with their frames. The
/// metadata are some 0.01 % of the memory where it is fragmented, and next to nothing where not.
///
/// Safe to use from any thread. The locks of its domains come after those of address spaces and
/// objects; no two of them are held at a time.
public final class FrameAllocator: Sendable {
  public let geometry: Geometry
  /// The frames that the allocator manages.
  public let frames: FrameRun
  /// The domains, in the order of their frames.
  public let domains: [FrameDomain]
  /// Which domains allocations are served from.
  public let policy: DomainPolicy

  /// The frames that are being zeroed in the background, of all domains.
  public let loans: ScrubbingFrames
  let audit: ZeroAudit

  /// The domain where there is but one that the policy allows or rules out: the usual case, which is
  /// not to pay for the others.
  private let only: FrameDomain?
  private let topology: NodeTopology
  /// Positions in `domains` of those that the policy allows, as they come in turn.
  private let allowed: [Int]
  /// The same from near to far, by the node that they are seen from; a node that has neither a domain
  /// nor distances of its own is not here.
  private let order: [NodeID: [Int]]
  /// Counts the allocations in turn (FreeBSD: `dr_iter`).
  private let turn = Atomic<Int>(0)

  /// How many frames there are, are free, and are free and known to be zero, at one moment; of
  /// several domains, at one moment each.
  public struct Occupancy: Hashable, Sendable {
    public let total: PageCount
    public let free: PageCount
    public let zeroed: PageCount

    static func + (left: Occupancy, right: Occupancy) -> Occupancy {
      Occupancy(
        total: left.total + right.total, free: left.free + right.free,
        zeroed: left.zeroed + right.zeroed)
    }
  }

  /// A block that was allocated.
  public struct Allocation: Sendable {
    /// The block.
    public let run: FrameRun
    /// Whether every byte is zero. If not, `dirty` had the runs appended that may not be.
    public let isZeroed: Bool
  }

  /// The frames of a node, to be a domain.
  public struct Part: Hashable, Sendable {
    public let frames: FrameRun
    /// Nil where it is not known.
    public let node: NodeID?
    /// How many of the frames have memory behind them, from the first on; the others are offline.
    public let present: PageCount

    /// - Parameter present: nil for all.
    public init(_ frames: FrameRun, node: NodeID?, present: PageCount? = nil) {
      self.frames = frames
      self.node = node
      self.present = present ?? frames.count
    }
  }

  /// An allocator of `frames`, which start at a multiple of the largest block and are all free, in
  /// one domain.
  ///
  /// - Parameter zeroed: whether every byte of them is zero.
  public convenience init(geometry: Geometry, frames: FrameRun, zeroed: Bool) {
    self.init(geometry: geometry, parts: [Part(frames, node: nil)], zeroed: zeroed)
  }

  /// An allocator of the frames of some nodes, all of them free.
  ///
  /// - Parameters:
  ///   - parts: each begins where the one before ends.
  ///     A superpage that has frames of two of them is never given out whole.
  ///   - topology: how the nodes lie to each other.
  ///   - zeroed: whether every byte of them is zero.
  public convenience init(
    geometry: Geometry, parts: [Part], topology: NodeTopology = NodeTopology(),
    policy: DomainPolicy = .firstTouch, zeroed: Bool
  ) {
    precondition(!parts.isEmpty, "an allocator has frames")
    for (part, next) in zip(parts, parts.dropFirst()) {
      precondition(part.frames.end == next.frames.start, "domains lie one behind the other")
    }
    let loans = ScrubbingFrames()
    let audit = ZeroAudit()
    self.init(
      geometry: geometry,
      domains: parts.map {
        FrameDomain(geometry: geometry, $0, zeroed: zeroed, loans: loans, audit: audit)
      }, topology: topology, policy: policy)
  }

  private init(
    geometry: Geometry, domains: [FrameDomain], topology: NodeTopology, policy: DomainPolicy
  ) {
    self.geometry = geometry
    loans = domains[0].loans
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
        // Sorting is stable here, as positions make a difference where distances do not.
        let near = allowed.sorted {
          (topology.distance(from: node, to: domains[$0].node), $0)
            < (topology.distance(from: node, to: domains[$1].node), $1)
        }
        return (node, near)
      })
  }

  /// The same frames by another policy.
  ///
  /// - Complexity: O(nodes² · log nodes).
  public func withPolicy(_ policy: DomainPolicy) -> FrameAllocator {
    if policy == self.policy { return self }
    return FrameAllocator(
      geometry: geometry, domains: domains, topology: topology, policy: policy)
  }

  /// Whether the two give out the same frames, if by different policies.
  public func sharesFrames(with other: FrameAllocator) -> Bool { domains[0] === other.domains[0] }

  // MARK: Allocating

  /// Allocates one block of 2^order frames, in each domain zeroed if it has such a block.
  ///
  /// - Parameters:
  ///   - isLast: the caller has no other use for smaller blocks, so that loans are waited for.
  ///   - dirty: gets the runs of the block that are not known to be zero.
  /// - Returns: nil when no domain that the policy allows has a block of the order left.
  /// - Complexity: O(levels) a domain, plus the dirty runs of a block of both kinds.
  public func allocate(
    order: Int, isLast: Bool = true, dirty: inout [FrameRun]
  ) -> Allocation? {
    if let only { return only.allocate(orders: order...order, isLast: isLast, dirty: &dirty) }
    for index in candidates() {
      if let block = domains[index].allocate(orders: order...order, isLast: isLast, dirty: &dirty) {
        return block
      }
    }
    return nil
  }

  /// Allocates the largest block of at most 2^order frames that is to be had, for wiring: in the
  /// first domain of the policy's order that has any. In turn, no larger than a large page.
  ///
  /// A zeroed block is preferred to a larger dirty one, but not if it is smaller than a large page:
  /// see `Geometry.largePageOrder`.
  ///
  /// - Complexity: O(order · levels) a domain, plus the dirty runs of a block of both kinds.
  public func allocateLargest(order: Int, dirty: inout [FrameRun]) -> Allocation? {
    if let only { return only.allocateLargest(order: order, dirty: &dirty) }
    let isSpread = policy.order == .roundRobin && allowed.count > 1
    let order = isSpread ? min(order, geometry.largePageOrder) : order
    for index in candidates() {
      if let block = domains[index].allocateLargest(order: order, dirty: &dirty) { return block }
    }
    return nil
  }

  /// Allocates the largest block of at most 2^order frames of which every frame is free and dirty, in any
  /// domain, so that it can be zeroed and freed again as zeroed. A frame that is free and zeroed is never
  /// in it.
  ///
  /// Others who allocate meanwhile may fail for want of it, unless it is taken as one of `loans`.
  ///
  /// - Returns: nil when no free frame is dirty.
  /// - Complexity: O(order + levels), and the domains. Takes the domains' locks in turn.
  public func takeDirty(largestOrder: Int) -> FrameRun? {
    if let only { return only.takeDirty(largestOrder: largestOrder) }
    let orders = domains.map(\.largestDirtyOrder)
    guard let order = orders.max(), order >= 0, let index = orders.firstIndex(of: order) else {
      return nil
    }
    return domains[index].takeDirty(largestOrder: largestOrder)
  }

  /// Allocates the very block asked for, so that it lies in place beside others.
  ///
  /// - Parameters:
  ///   - order: that of a page of some level. The block is naturally aligned.
  ///   - dirty: gets the runs of the block that are not known to be zero.
  /// - Returns: nil when a part of it is not free, not one of this allocator's, or in a domain that the
  ///   policy rules out. What is on loan is not free, and is not called back: to lie beside others is not
  ///   worth waiting for.
  /// - Complexity: O(levels), plus the dirty runs. Takes the domain's lock.
  public func allocate(_ wanted: Frame, order: Int, dirty: inout [FrameRun]) -> Allocation? {
    precondition(order % Geometry.levelShift == 0, "a block of no level is asked for")
    guard frames.contains(wanted), wanted.isAligned(toOrder: order) else { return nil }
    if let only { return only.allocate(wanted, order: order, dirty: &dirty) }
    let domain = domain(of: wanted)
    return policy.allows(domain.node) ? domain.allocate(wanted, order: order, dirty: &dirty) : nil
  }

  /// Whether the policy lets a frame be given out. O(log domains).
  func allows(_ frame: Frame) -> Bool {
    only != nil || policy.nodes == nil || policy.allows(domain(of: frame).node)
  }

  /// The domains of an allocation, in the order in which they are tried.
  private func candidates() -> [Int] {
    switch policy.order {
    case .prefer(let node): return order[node] ?? allowed
    case .firstTouch: return topology.local().flatMap { order[$0] } ?? allowed
    case .roundRobin:
      guard allowed.count > 1 else { return allowed }
      let number = turn.wrappingAdd(1, ordering: .relaxed).oldValue
      let first = Int(UInt(bitPattern: number) % UInt(allowed.count))
      return Array(allowed[first...] + allowed[..<first])
    }
  }

  // MARK: Freeing

  /// Gives a run of allocated frames back. A frame that is free already or foreign is a broken
  /// invariant and traps.
  ///
  /// - Parameter zeroed: whether every byte of the run is zero.
  /// - Complexity: O(blocks of the run · levels).
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

  /// Takes free frames out of use, the largest blocks first and none smaller than a large page, whatever
  /// the policy. Their memory may go.
  ///
  /// - Returns: runs of at most `limit` frames together, which are the caller's until they are brought
  ///   online again.
  /// - Complexity: O(blocks). Takes the domains' locks in turn.
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

  /// Puts frames that were offline into use; they are free then.
  ///
  /// - Parameter run: frames of one domain.
  package func bringOnline(_ run: FrameRun, zeroed: Bool) {
    domain(of: run.start).bringOnline(run, zeroed: zeroed)
  }

  // MARK: Looking

  /// The domain of one of the allocator's frames. O(log domains).
  public func domain(of frame: Frame) -> FrameDomain {
    precondition(frames.contains(frame), "a foreign frame is looked up")
    var low = 0
    var high = domains.count - 1
    while low < high {
      let middle = (low + high) / 2
      if domains[middle].frames.end > frame { high = middle } else { low = middle + 1 }
    }
    return domains[low]
  }

  /// How much is free and zeroed now, in all domains, whatever the policy. O(domains); takes their
  /// locks in turn.
  public var occupancy: Occupancy {
    if let only { return only.occupancy }
    return domains.dropFirst().reduce(domains[0].occupancy) { $0 + $1.occupancy }
  }

  /// What the policy allows of it.
  public var allowedOccupancy: Occupancy {
    let none = Occupancy(total: .zero, free: .zero, zeroed: .zero)
    return allowed.reduce(none) { $0 + domains[$1].occupancy }
  }

  /// The largest order of which a block is free in any domain, or nil when nothing is.
  public var largestFreeOrder: Int? { domains.compactMap(\.largestFreeOrder).max() }

  /// The blocks that the free memory is made of.
  ///
  /// - Complexity: O(memory / largest block + superpages of which a part is free). Takes the domains'
  ///   locks in turn.
  public var freeBlocks: FreeBlocks {
    domains.dropFirst().reduce(domains[0].freeBlocks) { $0 + $1.freeBlocks }
  }

  /// The bytes that the allocator itself takes.
  public var metadata: ByteCount { domains.reduce(.zero) { $0 + $1.metadata } }
}
