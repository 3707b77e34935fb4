public import HoldfastCore

/// A piece of guest RAM that can be mapped, whole or by parts, once or more often (bhyve:
/// `vm_memseg`). Its pages are absent, and read as zero, until they are wired or written; what they
/// hold stays while the segment or a mapping of it lives.
public final class MemorySegment: Sendable {
  /// The segment's name, unique in its guest.
  public let name: String
  public let size: ByteCount
  let object: MemoryObject

  init(name: String, size: ByteCount, memory: PhysicalMemory) {
    self.name = name
    self.size = size
    object = MemoryObject(memory: memory, size: memory.geometry.pages(in: size))
  }

  deinit {
    object.release()
  }
}
