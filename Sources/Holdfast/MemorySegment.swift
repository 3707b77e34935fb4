public import HoldfastCore

/// A piece of guest RAM that can be mapped, whole or by parts, once or more often (bhyve:
/// `vm_memseg`). Its pages are absent, and read as zero or, of a restored one, as its file, until they are
/// wired or written; what they hold stays while the segment or a mapping of it lives.
public final class MemorySegment: Sendable {
  /// The segment's name, unique in its guest.
  public let name: String
  public let size: ByteCount
  let object: MemoryObject

  init(name: String, size: ByteCount, memory: PhysicalMemory, pager: (any Pager)? = nil) {
    self.name = name
    self.size = size
    let pages = memory.geometry.pages(in: size)
    if let pager {
      object = MemoryObject(memory: memory, size: pages, pager: pager)
    } else {
      object = MemoryObject(memory: memory, size: pages)
    }
  }

  deinit {
    object.release()
  }
}
