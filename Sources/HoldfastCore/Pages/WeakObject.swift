/// A reference to an object that does not keep it alive.
struct WeakObject {
  weak var object: MemoryObject?

  init(_ object: MemoryObject) {
    self.object = object
  }
}
