/// The bytes of the physical memory: how the VM layer zeroes, copies, reads and writes frames.
///
/// Called without any lock but, in `read` and `write`, the address space's and those of objects. Safe
/// from any thread; callers see to it that no two of them work on the same frame, except that a
/// guest may touch at any time what is mapped to it.
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

  /// Makes `count` bytes zero from `offset` behind the start of `frame` on, which may lie in the
  /// frames that follow it, on the calling thread alone. What is called piece by piece by those who
  /// zero in the background and have to stop at any time.
  func zero(_ frame: Frame, offset: ByteCount, count: ByteCount)

  /// Whether every byte of the run is zero, for checks.
  func isZero(_ run: FrameRun) -> Bool
}

/// Physical memory: its geometry, its allocator and its bytes, shared by all the objects and
/// address spaces of an arena.
public struct PhysicalMemory: Sendable {
  /// Who gives frames out.
  public let allocator: FrameAllocator
  /// What is in them.
  public let store: any FrameStore
  let books: MemoryBooks

  /// Which superpages are being filled by base pages.
  public var reservations: ReservationPool { books.reservations }
  /// The objects that have pages in it.
  var objects: ObjectRegistry { books.objects }

  /// Memory whose frames are the store's.
  ///
  /// - Parameter books: what is kept about the allocator's frames; new ones where this is the first
  ///   memory of the allocator.
  public init(allocator: FrameAllocator, store: any FrameStore, books: MemoryBooks? = nil) {
    self.allocator = allocator
    self.store = store
    self.books = books ?? MemoryBooks(allocator: allocator)
  }

  /// The sizes of pages.
  public var geometry: Geometry { allocator.geometry }

  /// How many pages can be allocated: what is free where the policy allows, and what reservations have not
  /// used.
  public var available: PageCount {
    allocator.allowedOccupancy.free + reservations.statistics.unpopulated
  }

  /// The same memory, of which frames are taken by another policy. Objects and address spaces that
  /// are made with it have that policy, and so have their shadows and forks.
  public func withPolicy(_ policy: DomainPolicy) -> PhysicalMemory {
    PhysicalMemory(allocator: allocator.withPolicy(policy), store: store, books: books)
  }

  /// Allocates the largest block of at most 2^order frames that is to be had, as
  /// `FrameAllocator.allocateLargest`. Where nothing is free, reservations are broken.
  func allocateLargest(order: Int, dirty: inout [FrameRun]) -> FrameAllocator.Allocation? {
    repeat {
      if let block = allocator.allocateLargest(order: order, dirty: &dirty) { return block }
    } while reservations.breakOldest(for: allocator)
    return nil
  }

  /// Gives frames back that were allocated for pages of objects.
  func free(_ run: FrameRun, zeroed: Bool) { reservations.free(run, zeroed: zeroed) }
}
