/// Allocates physical frames: a buddy system from the base page to the largest superpage that
/// keeps zeroed and dirty frames apart (FreeBSD: `vm_phys`).
///
/// A frame is free or allocated, and a free one is known to be zero or counts as dirty. Blocks
/// merge with free neighbours, whatever the kind of these: a block of both kinds is given out as
/// one, with the list of its dirty parts. Any run of allocated frames may be freed, also a part of
/// a block or several blocks at once.
///
/// The cost of every operation grows with the blocks that it touches, never with their frames. The
/// metadata are some 0.01 % of the memory where it is fragmented, and next to nothing where not.
///
/// Safe to use from any thread. Its lock comes after those of address spaces and objects.
public final class FrameAllocator: @unchecked Sendable {
  public let geometry: Geometry
  /// The frames that the allocator manages.
  public let frames: FrameRun

  private let lock = Lock()
  /// Protected by `lock`.
  private var buddy: Buddy

  /// How many frames there are, are free, and are free and known to be zero, at one moment.
  public struct Occupancy: Hashable, Sendable {
    public let total: PageCount
    public let free: PageCount
    public let zeroed: PageCount
  }

  /// A block that was allocated.
  public struct Allocation: Sendable {
    /// The block.
    public let run: FrameRun
    /// Whether every byte is zero. If not, `dirty` had the runs appended that may not be.
    public let isZeroed: Bool
  }

  /// An allocator of `frames`, which start at a multiple of the largest block and are all free.
  ///
  /// - Parameter zeroed: whether every byte of them is zero.
  public init(geometry: Geometry, frames: FrameRun, zeroed: Bool) {
    precondition(
      frames.start.isAligned(toOrder: geometry.maximumOrder),
      "an allocator's frames start at a multiple of the largest block")
    self.geometry = geometry
    self.frames = frames
    buddy = Buddy(geometry: geometry, frameCount: Int(frames.count.rawValue))
    if frames.count > .zero { buddy.free(0..<Int(frames.count.rawValue), zeroed: zeroed) }
  }

  /// Allocates one block of 2^order frames, zeroed if there is such a block.
  ///
  /// - Parameter dirty: gets the runs of the block that are not known to be zero.
  /// - Returns: nil when no block of the order is left.
  /// - Complexity: O(levels), plus the dirty runs of a block of both kinds.
  public func allocate(order: Int, dirty: inout [FrameRun]) -> Allocation? {
    allocate(orders: order...order, dirty: &dirty)
  }

  /// Allocates the largest block of at most 2^order frames that is to be had, for wiring.
  ///
  /// A zeroed block is preferred to a larger dirty one, but not if it is smaller than a large page:
  /// see `Geometry.largePageOrder`.
  ///
  /// - Complexity: O(order · levels), plus the dirty runs of a block of both kinds.
  public func allocateLargest(order: Int, dirty: inout [FrameRun]) -> Allocation? {
    let large = geometry.largePageOrder
    if order >= large, let block = allocate(orders: large...order, dirty: &dirty) { return block }
    return allocate(orders: 0...min(order, large), dirty: &dirty)
  }

  /// Tries zeroed blocks from the largest order down, then blocks of any kind.
  private func allocate(orders: ClosedRange<Int>, dirty: inout [FrameRun]) -> Allocation? {
    var ranges: [Range<Int>] = []
    let found: (start: Int, order: Int)? = lock.withLock {
      for kind in [FrameKind.zeroed, .any] {
        let largest = buddy.largestOrder(kind)
        var order = min(orders.upperBound, largest)
        while order >= orders.lowerBound {
          if let start = buddy.allocate(order: order, kind, dirty: &ranges) {
            return (start, order)
          }
          order -= 1
        }
      }
      return nil
    }
    guard let found else { return nil }
    for range in ranges { dirty.append(run(range)) }
    return Allocation(
      run: FrameRun(frame(found.start), .order(found.order)), isZeroed: ranges.isEmpty)
  }

  /// Allocates the very block asked for, so that it lies in place beside others.
  ///
  /// - Parameters:
  ///   - order: that of a page of some level. The block is naturally aligned.
  ///   - dirty: gets the runs of the block that are not known to be zero.
  /// - Returns: nil when a part of it is not free or not one of this allocator's.
  /// - Complexity: O(levels), plus the dirty runs. Takes the allocator's lock.
  public func allocate(_ wanted: Frame, order: Int, dirty: inout [FrameRun]) -> Allocation? {
    precondition(order % Geometry.levelShift == 0, "a block of no level is asked for")
    guard frames.contains(wanted), wanted.isAligned(toOrder: order) else { return nil }
    var ranges: [Range<Int>] = []
    let position = Int((wanted - frames.start).rawValue)
    guard lock.withLock({ buddy.allocate(at: position, order: order, dirty: &ranges) }) else {
      return nil
    }
    for range in ranges { dirty.append(run(range)) }
    return Allocation(run: FrameRun(wanted, .order(order)), isZeroed: ranges.isEmpty)
  }

  /// Gives a run of allocated frames back. A frame that is free already or foreign is a broken
  /// invariant and traps.
  ///
  /// - Parameter zeroed: whether every byte of the run is zero.
  /// - Complexity: O(blocks of the run · levels).
  public func free(_ run: FrameRun, zeroed: Bool) {
    precondition(
      run.start >= frames.start && run.end <= frames.end, "a foreign frame is freed")
    let start = Int((run.start - frames.start).rawValue)
    lock.withLock { buddy.free(start..<start + Int(run.count.rawValue), zeroed: zeroed) }
  }

  // MARK: Fragments, for compaction

  /// How many frames of the superpage block that starts at a frame are free. Takes the lock.
  func freeFrames(ofSuperpage start: Frame) -> PageCount {
    PageCount(UInt64(lock.withLock { buddy.freeCount(ofSuperpage: superpage(start)) }))
  }

  /// Allocates every free frame of a superpage block that is partly in use, so that nobody else gets
  /// them. Takes the lock.
  func isolate(superpage start: Frame) -> [(run: FrameRun, zeroed: Bool)] {
    let number = superpage(start)
    return lock.withLock { buddy.takeFree(ofSuperpage: number) }.map { (run($0.range), $0.zeroed) }
  }

  /// Allocates at most `limit` frames that follow each other in a superpage block that is partly in use;
  /// nil where none is free there, or all are. Takes the lock.
  func allocateFragment(ofSuperpage start: Frame, limit: PageCount) -> FrameRun? {
    let number = superpage(start)
    return lock.withLock {
      buddy.takeFragment(ofSuperpage: number, limit: Int(limit.rawValue))
    }.map(run)
  }

  private func superpage(_ start: Frame) -> Int {
    Int((start - frames.start).rawValue >> UInt64(Geometry.levelShift))
  }

  /// How much is free and zeroed now. O(1); takes the allocator's lock.
  public var occupancy: Occupancy {
    lock.withLock {
      Occupancy(
        total: frames.count, free: PageCount(UInt64(buddy.freeCount)),
        zeroed: PageCount(UInt64(buddy.zeroedCount)))
    }
  }

  /// The largest order of which a block is free, or nil when nothing is.
  public var largestFreeOrder: Int? {
    let order = lock.withLock { buddy.largestOrder(.any) }
    return order < 0 ? nil : order
  }

  /// The bytes that the allocator itself takes.
  public var metadata: ByteCount { lock.withLock { ByteCount(UInt64(buddy.metadataBytes)) } }

  private func frame(_ position: Int) -> Frame { frames.start + PageCount(UInt64(position)) }

  private func run(_ range: Range<Int>) -> FrameRun {
    FrameRun(frame(range.lowerBound), PageCount(UInt64(range.count)))
  }
}
