/// Physical memory: its geometry, its allocator and its bytes, shared by all the objects and
/// address spaces of an arena.
public struct PhysicalMemory: Sendable {
  /// Who gives frames out.
  public let allocator: FrameAllocator
  /// What is in them.
  public let store: any FrameStore
  let state: PhysicalMemoryState

  /// Which superpages are being filled by base pages.
  public var reservations: ReservationPool { state.reservations }
  /// The objects that have pages in it.
  var objects: ObjectRegistry { state.objects }

  /// Memory whose frames are the store's.
  ///
  /// - Parameter state: what is kept about the allocator's frames; new ones where this is the first
  ///   memory of the allocator.
  public init(allocator: FrameAllocator, store: any FrameStore, state: PhysicalMemoryState? = nil) {
    self.allocator = allocator
    self.store = store
    self.state = state ?? PhysicalMemoryState(allocator: allocator)
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
    PhysicalMemory(allocator: allocator.withPolicy(policy), store: store, state: state)
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
