/// The frames of one NUMA node, with a buddy system and a lock of their own, so that guests on
/// different nodes do not meet (FreeBSD: `struct vm_domain`). A `FrameAllocator` gives frames out of
/// its domains.
///
/// Safe to use from any thread. The lock comes after those of address spaces and objects.
public final class FrameDomain: @unchecked Sendable {
  public let geometry: Geometry
  /// The frames of the domain.
  public let frames: FrameRun
  /// The node that they lie on, or nil where that is not known.
  public let node: NodeID?

  /// The frame of the buddy system's position 0: a multiple of the largest block, so that blocks are
  /// naturally aligned wherever the domain starts. Frames before the domain's own count as allocated
  /// for ever.
  private let origin: Frame
  private let lock = Lock()
  // Protected by `lock`.
  private var buddy: Buddy
  /// Frames that have no memory behind them now: the buddy system has them as allocated.
  private var offline = PageCount.zero

  /// Those of all domains of an allocator.
  let loans: ScrubbingFrames
  let audit: ZeroAudit

  /// A domain of a node's frames, of which those that are present are free and the others offline.
  ///
  /// - Parameter zeroed: whether every byte of those present is zero.
  init(
    geometry: Geometry, _ part: FrameAllocator.Part, zeroed: Bool, loans: ScrubbingFrames,
    audit: ZeroAudit
  ) {
    self.geometry = geometry
    self.loans = loans
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

  /// What looking for a block came to.
  private enum Search {
    case found(start: Int, order: Int)
    case none
    /// There may be a larger one when loans are back; whether the caller would have to fail without.
    case short(wouldFail: Bool)
  }

  /// The largest zeroed block of the orders, or else the largest of any kind. Calls loans back before it
  /// gives less than the largest order.
  ///
  /// - Parameter isLast: the caller tries no smaller orders if this fails.
  func allocate(
    orders: ClosedRange<Int>, isLast: Bool, dirty: inout [FrameRun]
  ) -> FrameAllocator.Allocation? {
    var ranges: [Range<Int>] = []
    let mark = loans.mark
    let least = isLast ? orders.lowerBound : 0
    var search = lock.withLock { searchLocked(orders, least, mark, &ranges) }
    if case .short(let wouldFail) = search {
      search = loans.callBack(isPatient: wouldFail) {
        lock.withLock { searchLocked(orders, least, nil, &ranges) }
      }
    }
    guard case .found(let start, let order) = search else { return nil }
    let first = dirty.count
    for range in ranges { dirty.append(run(range)) }
    let block = FrameRun(frame(start), .order(order))
    audit.check(block, except: dirty[first...], "handed out")
    return FrameAllocator.Allocation(run: block, isZeroed: ranges.isEmpty)
  }

  /// - Parameters:
  ///   - least: the smallest order that the caller can do with.
  ///   - mark: what the loans' mark was before the lock was taken; nil where loans do not matter any
  ///     more.
  private func searchLocked(
    _ orders: ClosedRange<Int>, _ least: Int, _ mark: UInt64?, _ ranges: inout [Range<Int>]
  ) -> Search {
    let most = buddy.largestOrder(.any)
    if most < orders.upperBound, let mark, loans.wereOut(since: mark) {
      return .short(wouldFail: most < least)
    }
    for kind in [FrameKind.zeroed, .any] {
      var order = min(orders.upperBound, kind == .any ? most : buddy.largestOrder(kind))
      while order >= orders.lowerBound {
        if let start = buddy.allocate(order: order, kind, dirty: &ranges) {
          return .found(start: start, order: order)
        }
        order -= 1
      }
    }
    return .none
  }

  /// The largest block of at most 2^order frames; see `FrameAllocator.allocateLargest`.
  func allocateLargest(order: Int, dirty: inout [FrameRun]) -> FrameAllocator.Allocation? {
    let large = geometry.largePageOrder
    if order >= large,
      let block = allocate(orders: large...order, isLast: false, dirty: &dirty)
    {
      return block
    }
    return allocate(orders: 0...min(order, large), isLast: true, dirty: &dirty)
  }

  /// The largest order of which a block is free and dirty throughout, -1 where there is none.
  var largestDirtyOrder: Int { lock.withLock { buddy.largestOrder(.dirty) } }

  /// See `FrameAllocator.takeDirty`.
  func takeDirty(largestOrder: Int) -> FrameRun? {
    lock.withLock { buddy.takeDirty(largestOrder: largestOrder) }.map(run)
  }

  /// The very block, whose first frame is one of the domain's, or nil when not all of it is free here.
  func allocate(
    _ wanted: Frame, order: Int, dirty: inout [FrameRun]
  ) -> FrameAllocator.Allocation? {
    var ranges: [Range<Int>] = []
    let position = Int((wanted - origin).rawValue)
    guard lock.withLock({ buddy.allocate(at: position, order: order, dirty: &ranges) }) else {
      return nil
    }
    let first = dirty.count
    for range in ranges { dirty.append(run(range)) }
    let block = FrameRun(wanted, .order(order))
    audit.check(block, except: dirty[first...], "handed out")
    return FrameAllocator.Allocation(run: block, isZeroed: ranges.isEmpty)
  }

  /// Gives a run of allocated frames back, all of them the domain's.
  func free(_ run: FrameRun, zeroed: Bool) {
    precondition(
      run.start >= frames.start && run.end <= frames.end, "a foreign frame is freed")
    let start = Int((run.start - origin).rawValue)
    if zeroed { audit.check(run, "freed") }
    lock.withLock { buddy.free(start..<start + Int(run.count.rawValue), zeroed: zeroed) }
    if !zeroed { loans.noteDirt() }
  }

  // MARK: Frames that come and go

  /// Takes free frames out of use, the largest blocks first, none smaller than a large page (Linux:
  /// `offline_pages`).
  ///
  /// - Returns: runs of at most `limit` frames together, which are the caller's.
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

  /// Puts frames of this domain that were offline into use: they are free then (Linux: `online_pages`).
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

  /// How many frames of the superpage block that starts at a frame are free here.
  func freeFrames(ofSuperpage start: Frame) -> PageCount {
    PageCount(UInt64(lock.withLock { buddy.freeCount(ofSuperpage: superpage(start)) }))
  }

  /// Allocates every free frame of a superpage block that is partly in use, so that nobody else gets
  /// them.
  func isolate(superpage start: Frame) -> [(run: FrameRun, zeroed: Bool)] {
    let number = superpage(start)
    return lock.withLock { buddy.takeFree(ofSuperpage: number) }.map { (run($0.range), $0.zeroed) }
  }

  /// Allocates at most `limit` frames that follow each other in a superpage block that is partly in use;
  /// nil where none is free there, or all are.
  func allocateFragment(ofSuperpage start: Frame, limit: PageCount) -> FrameRun? {
    let number = superpage(start)
    return lock.withLock {
      buddy.takeFragment(ofSuperpage: number, limit: Int(limit.rawValue))
    }.map(run)
  }

  private func superpage(_ start: Frame) -> Int {
    Int((start - origin).rawValue >> UInt64(Geometry.levelShift))
  }

  // MARK: Looking

  /// How much is free and zeroed now. O(1); takes the domain's lock.
  public var occupancy: FrameAllocator.Occupancy {
    lock.withLock {
      FrameAllocator.Occupancy(
        total: frames.count - offline, free: PageCount(UInt64(buddy.freeCount)),
        zeroed: PageCount(UInt64(buddy.zeroedCount)))
    }
  }

  /// The blocks that the free memory is made of. Takes the domain's lock.
  var freeBlocks: FreeBlocks { lock.withLock { buddy.blocksFree } }

  /// The largest order of which a block is free, or nil when nothing is.
  public var largestFreeOrder: Int? {
    let order = lock.withLock { buddy.largestOrder(.any) }
    return order < 0 ? nil : order
  }

  /// The bytes that the domain's buddy system takes.
  public var metadata: ByteCount { lock.withLock { ByteCount(UInt64(buddy.metadataBytes)) } }

  private func frame(_ position: Int) -> Frame { origin + PageCount(UInt64(position)) }

  private func run(_ range: Range<Int>) -> FrameRun {
    FrameRun(frame(range.lowerBound), PageCount(UInt64(range.count)))
  }
}
