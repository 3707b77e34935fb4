/// The objects that may have pages in a physical memory, so that a frame's owner is found by a scan
/// of all of them: nothing is recorded for each frame.
///
/// Its lock is a leaf, taken under an object's lock, `AddressSpace.lock`, `GuestMemory`'s or none.
final class ObjectRegistry: @unchecked Sendable {
  private let lock = Lock()
  /// Protected by `lock`.
  private var objects: [ObjectIdentifier: UnownedObject] = [:]

  /// Adds a new object.
  func add(_ object: MemoryObject) {
    let entry = UnownedObject(object)
    lock.withLock { objects[ObjectIdentifier(object)] = entry }
  }

  /// Removes an object that has died. The caller keeps it alive meanwhile.
  func remove(_ object: MemoryObject) {
    _ = lock.withLock { objects.removeValue(forKey: ObjectIdentifier(object)) }
  }

  /// The objects that are alive. Some may be dead when the caller looks at them.
  var all: [MemoryObject] {
    // Within the lock, where none of them can end.
    lock.withLock { objects.values.map(\.object) }
  }
}
