internal import Synchronization

/// What is kept about the frames of one allocator, besides which are free: once for all `PhysicalMemory`
/// values of the allocator.
public final class PhysicalMemoryState: Sendable {
  let reservations: ReservationPool
  let objects = ObjectRegistry()
  /// Counts changes of shadow chains and of which object a map entry has on top. Who walks up a chain
  /// without holding its locks walks again where it has changed meanwhile.
  let chainChanges = Atomic<UInt64>(0)
  /// What the frames are taken from, where that is another allocator.
  let claim: PlacedFrames?

  /// Books of frames that are all free or the caller's own.
  public convenience init(allocator: FrameAllocator) {
    self.init(allocator: allocator, claim: nil)
  }

  init(allocator: FrameAllocator, claim: PlacedFrames?) {
    reservations = ReservationPool(allocator: allocator)
    self.claim = claim
  }
}

/// The objects that may have pages in a physical memory, so that the owner of a frame can be found by
/// looking at all of them: nothing is kept for each frame. Its lock is the last in the order.
final class ObjectRegistry: @unchecked Sendable {
  private let lock = Lock()
  /// Protected by `lock`.
  private var objects: [ObjectIdentifier: WeakObject] = [:]

  func add(_ object: MemoryObject) {
    let entry = WeakObject(object)
    lock.withLock { objects[ObjectIdentifier(object)] = entry }
  }

  /// Forgets an object that is going.
  func remove(_ identity: ObjectIdentifier) {
    // Freed outside of the lock: a weak reference may be the last thing that keeps the memory.
    _ = lock.withLock { objects.removeValue(forKey: identity) }
  }

  /// Those that are alive.
  var all: [MemoryObject] {
    let entries = lock.withLock { Array(objects.values) }
    return entries.compactMap(\.object)
  }
}
