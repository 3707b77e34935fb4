internal import Synchronization

/// The state of an allocator's frames besides which are free: one for all `PhysicalMemory` values
/// of the allocator.
package final class PhysicalMemoryState: Sendable {
  /// The superpage blocks that faults are filling with base pages.
  let reservations: ReservationPool
  /// The objects that may have pages in the frames.
  let objects = ObjectRegistry()
  /// Counts the changes of shadow chains and of map entries' top objects. A thread that walks up a
  /// chain without its locks starts again where the count has changed.
  let chainChanges = Atomic<UInt64>(0)
  /// The claim on another allocator's frames, where the frames come from one.
  let claim: PlacedFrames?

  /// The state of frames that are free or the caller's.
  package convenience init(allocator: FrameAllocator) {
    self.init(allocator: allocator, claim: nil)
  }

  init(allocator: FrameAllocator, claim: PlacedFrames?) {
    reservations = ReservationPool(allocator: allocator)
    self.claim = claim
  }
}
