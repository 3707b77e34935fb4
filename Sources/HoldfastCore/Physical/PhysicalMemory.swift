/// Physical memory: its geometry, its allocator and its bytes, which all objects and address spaces
/// of an arena share (FreeBSD: `vm_phys` and the direct map).
public struct PhysicalMemory: Sendable {
  /// Allocates the frames.
  public let allocator: FrameAllocator
  /// Accesses the frames' bytes.
  public let store: any FrameStore
  let state: PhysicalMemoryState

  /// The superpage blocks that faults are filling with base pages.
  public var reservations: ReservationPool { state.reservations }
  /// The objects that have pages in it.
  var objects: ObjectRegistry { state.objects }

  /// The first memory of an allocator, whose frames are the store's.
  public init(allocator: FrameAllocator, store: any FrameStore) {
    self.init(
      allocator: allocator, store: store, state: PhysicalMemoryState(allocator: allocator))
  }

  /// Memory of an allocator that has a state already.
  package init(allocator: FrameAllocator, store: any FrameStore, state: PhysicalMemoryState) {
    self.allocator = allocator
    self.store = store
    self.state = state
  }

  /// The page sizes.
  public var geometry: Geometry { allocator.geometry }

  /// The number of pages that can be allocated: free frames of the domains that the policy allows,
  /// and unused frames of reservations. Frames that are being zeroed are not counted.
  public var available: PageCount {
    allocator.allowedOccupancy.free + reservations.statistics.unpopulated
  }

  /// The same memory with another policy for allocations. Objects and address spaces that are made
  /// with it have that policy, and so do their shadows and forks.
  public func withPolicy(_ policy: DomainPolicy) -> PhysicalMemory {
    PhysicalMemory(allocator: allocator.withPolicy(policy), store: store, state: state)
  }

  /// Allocates the largest free block of at most 2^order frames, as
  /// `FrameAllocator.allocateLargest` does. Where no frame is free, it breaks reservations.
  ///
  /// - Parameter limit: how many frames to allocate where blocks of the largest order lie beside
  ///   each other; one block otherwise.
  func allocateLargest(
    order: Int, limit: PageCount = .zero, dirty: inout [FrameRun]
  ) -> FrameAllocator.Allocation? {
    repeat {
      if let block = allocator.allocateLargest(order: order, limit: limit, dirty: &dirty) {
        return block
      }
    } while reservations.breakOldest(for: allocator)
    return nil
  }

  /// The same for a page fault, which would rather have a smaller block than wait for frames that
  /// are being zeroed. It waits only where no frame at all is free.
  func allocateLargestNow(order: Int, dirty: inout [FrameRun]) -> FrameAllocator.Allocation? {
    repeat {
      if let block = allocator.allocateLargestNow(order: order, dirty: &dirty) { return block }
    } while reservations.breakOldest(for: allocator)
    return nil
  }

  /// The error where no frame was allocated.
  var shortage: HoldfastError {
    guard allocator.isClosed else {
      return HoldfastError(.resourceShortage, "no free frame is left")
    }
    return HoldfastError(
      .resourceShortage,
      "the arena gives out no more memory, because the kernel refused to end the access of one of "
        + "its guests",
      advice: .other("another arena"))
  }

  /// Frees frames that were allocated for pages of objects.
  func free(_ run: FrameRun, zeroed: Bool) { reservations.free(run, zeroed: zeroed) }
}
