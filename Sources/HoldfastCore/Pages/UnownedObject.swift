/// A reference to an object that does not keep it alive. It is removed, under the lock of what has
/// it, before the object's last reference goes (`MemoryObject.references`); a use after that traps.
///
/// Not weak: the first weak reference to an object gives it a side table, and makes each retain and
/// release of it slower from then on.
struct UnownedObject {
  unowned let object: MemoryObject

  init(_ object: MemoryObject) {
    self.object = object
  }
}
