internal import Synchronization

/// The frames of one NUMA node, with a buddy system and a lock, so that guests on different nodes
/// do not contend (FreeBSD: `struct vm_domain`). A `FrameAllocator` allocates from its domains.
///
/// Safe to use from any thread. The lock comes after those of address spaces, objects and the
/// `ReservationPool`, and after `Arena.resizing`.
public final class FrameDomain: @unchecked Sendable {
  /// The page sizes.
  public let geometry: Geometry
  /// The frames of the domain.
  public let frames: FrameRun
  /// The node that the frames lie on, or nil where it is not known.
  public let node: NodeID?

  /// The frame of the buddy system's position 0: a multiple of the largest block, so that blocks
  /// are naturally aligned wherever the domain starts. Frames before the domain's own stay
  /// allocated.
  private let origin: Frame
  private let lock = Lock()
  // Protected by `lock`.
  private var buddy: Buddy
  /// Frames without memory, which the buddy system counts as allocated.
  private var offline = PageCount.zero

  /// Set with `lock` held, so that no allocation is under way when `close` returns.
  private let closed = Atomic(false)

  /// The allocator's, which its domains share.
  let scrubbing: ScrubbingFrames
  /// The allocator's, which its domains share.
  let audit: ZeroAudit

  /// A domain of a node's frames: those that are present are free, the others offline.
  ///
  /// - Parameter zeroed: whether every byte of the present frames is zero.
  init(
    geometry: Geometry, _ part: FrameAllocator.Part, zeroed: Bool, scrubbing: ScrubbingFrames,
    audit: ZeroAudit
  ) {
    self.geometry = geometry
    self.scrubbing = scrubbing
    self.audit = audit
    frames = part.frames
    node = part.node
    let present = part.present
    let block = PageCount.order(geometry.maximumOrder).rawValue
    origin = Frame(frames.start.rawValue / block * block)
    let start = Int((frames.start - origin).rawValue)
    let end = Int((frames.end - origin).rawValue)
    buddy = Buddy(geometry: geometry, frameCount: frames.count == .zero ? 0 : end)
    if present > .zero { buddy.free(start..<start + Int(present.rawValue), zeroed: zeroed) }
    offline = frames.count - present
  }

  /// The result of a search for a block.
  private enum Search {
    case found(Range<Int>)
    case none
    /// Frames are being zeroed, so a larger block may be free soon; whether the caller fails
    /// without it.
    case short(wouldFail: Bool)
  }

  /// Allocates the largest zeroed block of the orders, or else the largest of any kind. Reclaims
  /// frames that are being zeroed rather than allocate less than the largest order.
  ///
  /// - Parameters:
  ///   - isLast: whether the caller tries no smaller orders if this fails.
  ///   - waits: whether to reclaim frames at all.
  ///   - limit: how many frames to allocate where a block of the largest order that there is has
  ///     others like it behind it.
  func allocate(
    orders: ClosedRange<Int>, isLast: Bool, waits: Bool = true, limit: PageCount = .zero,
    dirty: inout [FrameRun]
  ) -> FrameAllocator.Allocation? {
    var ranges: [Range<Int>] = []
    let mark = waits ? scrubbing.mark : nil
    let least = isLast ? orders.lowerBound : 0
    var search = lock.withLock { searchLocked(orders, least, mark, limit, &ranges) }
    if case .short(let wouldFail) = search {
      search = scrubbing.reclaim(hasTimeout: !wouldFail) {
        lock.withLock { searchLocked(orders, least, nil, limit, &ranges) }
      }
    }
    guard case .found(let found) = search else { return nil }
    let first = dirty.count
    for range in ranges { dirty.append(run(range)) }
    let block = run(found)
    audit.check(block, except: dirty[first...], "handed out")
    return FrameAllocator.Allocation(run: block, isZeroed: ranges.isEmpty)
  }

  /// Searches for a block and allocates it.
  ///
  /// - Parameters:
  ///   - least: the smallest order that the caller can use.
  ///   - mark: `scrubbing.mark` from before the lock was taken; nil after a reclaim, or where the
  ///     caller does not wait for one.
  private func searchLocked(
    _ orders: ClosedRange<Int>, _ least: Int, _ mark: UInt64?, _ limit: PageCount,
    _ ranges: inout [Range<Int>]
  ) -> Search {
    if isClosed { return .none }
    let most = buddy.largestOrder(.any)
    if most < orders.upperBound, let mark, scrubbing.wasActive(since: mark) {
      return .short(wouldFail: most < least)
    }
    for kind in [FrameKind.zeroed, .any] {
      var order = min(orders.upperBound, kind == .any ? most : buddy.largestOrder(kind))
      while order >= orders.lowerBound {
        if let start = buddy.allocate(order: order, kind, dirty: &ranges) {
          let first = start..<start + 1 << order
          if order < buddy.blockOrder { return .found(first) }
          let limit = Int(clamping: limit.rawValue)
          return .found(buddy.extended(first, to: limit, kind, dirty: &ranges))
        }
        order -= 1
      }
    }
    return .none
  }

  /// The largest block of at most 2^order frames; see `FrameAllocator.allocateLargest`.
  func allocateLargest(
    order: Int, waits: Bool = true, limit: PageCount = .zero, dirty: inout [FrameRun]
  ) -> FrameAllocator.Allocation? {
    let large = geometry.largePageOrder
    if order >= large,
      let block = allocate(
        orders: large...order, isLast: false, waits: waits, limit: limit, dirty: &dirty)
    {
      return block
    }
    return allocate(orders: 0...min(order, large), isLast: true, waits: waits, dirty: &dirty)
  }

  /// The largest order of which a block is free and dirty throughout; -1 when there is no such
  /// block.
  var largestDirtyOrder: Int { lock.withLock { buddy.largestOrder(.dirty) } }

  /// See `FrameAllocator.takeDirty`.
  func takeDirty(largestOrder: Int) -> FrameRun? {
    lock.withLock { isClosed ? nil : buddy.takeDirty(largestOrder: largestOrder) }.map(run)
  }

  /// Allocates the block that starts at one of the domain's frames; nil when not all of it is free
  /// here.
  func allocate(
    _ wanted: Frame, order: Int, dirty: inout [FrameRun]
  ) -> FrameAllocator.Allocation? {
    var ranges: [Range<Int>] = []
    let position = Int((wanted - origin).rawValue)
    let isTaken = lock.withLock {
      !isClosed && buddy.allocate(at: position, order: order, dirty: &ranges)
    }
    guard isTaken else { return nil }
    let first = dirty.count
    for range in ranges { dirty.append(run(range)) }
    let block = FrameRun(wanted, .order(order))
    audit.check(block, except: dirty[first...], "handed out")
    return FrameAllocator.Allocation(run: block, isZeroed: ranges.isEmpty)
  }

  /// Frees a run of allocated frames, all of them the domain's.
  func free(_ run: FrameRun, zeroed: Bool) {
    precondition(
      run.start >= frames.start && run.end <= frames.end, "a foreign frame is freed")
    let start = Int((run.start - origin).rawValue)
    if zeroed { audit.check(run, "freed") }
    lock.withLock { buddy.free(start..<start + Int(run.count.rawValue), zeroed: zeroed) }
    if !zeroed { scrubbing.noteDirtyFree() }
  }

  /// Ends all allocation from the domain; see `FrameAllocator.close`.
  func close() {
    lock.withLock { closed.store(true, ordering: .sequentiallyConsistent) }
  }

  // MARK: Offline frames

  /// Takes free frames out of use, the largest blocks first, none smaller than a large page (Linux:
  /// `offline_pages`).
  ///
  /// - Returns: runs of at most `limit` frames together, which the caller owns.
  func takeOffline(_ limit: PageCount) -> [FrameRun] {
    var dirty: [FrameRun] = []
    var runs: [FrameRun] = []
    var rest = limit
    let least = geometry.largePageOrder
    while rest >= .order(least) {
      let order = geometry.largestOrder(at: Frame(0), limit: rest)
      guard let block = allocate(orders: least...order, isLast: true, dirty: &dirty) else { break }
      runs.append(block.run)
      rest -= block.run.count
    }
    lock.withLock { offline += limit - rest }
    return runs
  }

  /// Puts frames of this domain that were offline into use: they are free afterwards (Linux:
  /// `online_pages`).
  func bringOnline(_ run: FrameRun, zeroed: Bool) {
    free(run, zeroed: zeroed)
    lock.withLock { offline -= run.count }
  }

  /// How many frames from the start of a superpage block on are free, up to `limit`.
  func freeLength(from start: Frame, limit: PageCount) -> PageCount {
    let position = Int((start - origin).rawValue)
    return PageCount(
      UInt64(lock.withLock { buddy.freeLength(from: position, limit: Int(limit.rawValue)) }))
  }

  // MARK: Fragments, for compaction

  /// The number of free frames in the superpage block that starts at a frame.
  func freeFrames(ofSuperpage start: Frame) -> PageCount {
    PageCount(UInt64(lock.withLock { buddy.freeCount(ofSuperpage: superpage(start)) }))
  }

  /// Allocates every free frame of a superpage block that is partly in use, so that no other
  /// allocation gets them (Linux: `isolate_freepages_block`).
  func isolate(superpage start: Frame) -> [(run: FrameRun, zeroed: Bool)] {
    let number = superpage(start)
    return lock.withLock { isClosed ? [] : buddy.takeFree(ofSuperpage: number) }
      .map { (run($0.range), $0.zeroed) }
  }

  /// Allocates at most `limit` contiguous frames in a superpage block that is partly in use; nil
  /// where no frame of it is free, or all are.
  func allocateFragment(ofSuperpage start: Frame, limit: PageCount) -> FrameRun? {
    let number = superpage(start)
    return lock.withLock {
      isClosed ? nil : buddy.takeFragment(ofSuperpage: number, limit: Int(limit.rawValue))
    }.map(run)
  }

  /// The number of the superpage block that starts at a frame.
  private func superpage(_ start: Frame) -> Int {
    Int((start - origin).rawValue >> UInt64(Geometry.levelShift))
  }

  // MARK: Inspecting

  /// The numbers of free and zeroed frames.
  ///
  /// - Complexity: O(1). Takes the domain's lock.
  public var occupancy: FrameAllocator.Occupancy {
    lock.withLock {
      FrameAllocator.Occupancy(
        total: frames.count - offline, free: PageCount(UInt64(buddy.freeCount)),
        zeroed: PageCount(UInt64(buddy.zeroedCount)))
    }
  }

  /// The blocks that the free memory consists of. Takes the domain's lock.
  var freeBlocks: FreeBlocks { lock.withLock { buddy.blocksFree } }

  /// The largest order of which a block is free, or nil when no frame is free. Takes the domain's
  /// lock.
  var largestFreeOrder: Int? {
    let order = lock.withLock { buddy.largestOrder(.any) }
    return order < 0 ? nil : order
  }

  /// The size of the domain's own data. Takes the domain's lock.
  public var metadata: ByteCount { lock.withLock { ByteCount(UInt64(buddy.metadataBytes)) } }

  /// Whether `close` was called. Takes no lock.
  var isClosed: Bool { closed.load(ordering: .sequentiallyConsistent) }

  private func frame(_ position: Int) -> Frame { origin + PageCount(UInt64(position)) }

  private func run(_ range: Range<Int>) -> FrameRun {
    FrameRun(frame(range.lowerBound), PageCount(UInt64(range.count)))
  }
}
