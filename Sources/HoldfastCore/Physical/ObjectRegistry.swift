/// The objects that may have pages in a physical memory, so that a frame's owner is found by a scan
/// of all of them: nothing is recorded for each frame.
///
/// Its lock is a leaf, taken under an object's lock, `AddressSpace.lock`, `GuestMemory`'s or none.
final class ObjectRegistry: @unchecked Sendable {
  private let lock = Lock()
  /// Protected by `lock`.
  private var objects: [ObjectIdentifier: WeakObject] = [:]

  /// Adds a new object.
  func add(_ object: MemoryObject) {
    let entry = WeakObject(object)
    lock.withLock { objects[ObjectIdentifier(object)] = entry }
  }

  /// Removes an object that is being deinitialized.
  func remove(_ identity: ObjectIdentifier) {
    // Released outside of the lock: the weak reference may be the last one to the object's storage.
    _ = lock.withLock { objects.removeValue(forKey: identity) }
  }

  /// The objects that are alive.
  var all: [MemoryObject] {
    let entries = lock.withLock { Array(objects.values) }
    return entries.compactMap(\.object)
  }
}
