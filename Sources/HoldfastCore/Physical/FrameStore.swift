/// The bytes of the physical memory: how the VM layer zeroes, copies, reads and writes frames.
///
/// Called without any lock but, in `read` and `write`, the address space's and in `read` those of
/// objects. Safe from any thread;
/// callers see to it that no two of them work on the same frame, except that a guest may touch at
/// any time what is mapped to it.
public protocol FrameStore: AnyObject, Sendable {
  /// Makes every byte of the runs zero (FreeBSD: `pmap_zero_page`). A store may use several
  /// threads and returns when all is done.
  func zero(_ runs: [FrameRun])

  /// Copies whole frames; the runs are as long and do not overlap (FreeBSD: `pmap_copy_page`).
  func copy(from source: FrameRun, to destination: Frame)

  /// Copies bytes out, from `offset` behind the start of `frame` on, to the byte offsets `range` of
  /// `bytes`. They lie in frames that follow each other.
  func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>)

  /// Copies bytes in, from `offset` behind the start of `frame` on.
  func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount)
}

/// Physical memory: its geometry, its allocator and its bytes, shared by all the objects and
/// address spaces of an arena.
public struct PhysicalMemory: Sendable {
  /// Who gives frames out.
  public let allocator: FrameAllocator
  /// What is in them.
  public let store: any FrameStore

  /// Memory whose frames are the store's.
  public init(allocator: FrameAllocator, store: any FrameStore) {
    self.allocator = allocator
    self.store = store
  }

  /// The sizes of pages.
  public var geometry: Geometry { allocator.geometry }
}

extension PhysicalMemory {
  /// Zeroes every free frame, or declares all of them dirty whatever they hold: for measurements
  /// that have to start from the one or the other. Frames that are free now cannot be allocated
  /// meanwhile.
  package func prepareFreeFrames(zeroed: Bool) {
    var runs: [FrameRun] = []
    var dirty: [FrameRun] = []
    while let block = allocator.allocateLargest(order: geometry.maximumOrder, dirty: &dirty) {
      runs.append(block.run)
    }
    if zeroed, !dirty.isEmpty { store.zero(dirty) }
    for run in runs { allocator.free(run, zeroed: zeroed) }
  }
}
