public import HoldfastCore

/// A piece of guest RAM that can be mapped, whole or in parts, once or several times (bhyve:
/// `vm_memseg`).
///
/// Its pages are absent at first and read as zero, or as the file of a restored segment. Their
/// contents stay as long as the segment or a mapping of it exists. `GuestMemory.allocateSegment`
/// and `restoreSegment` create segments.
public final class MemorySegment: Sendable {
  /// The segment's name, unique in its guest.
  public let name: String
  /// The segment's size, a multiple of the arena's page size.
  public let size: ByteCount
  let object: MemoryObject
  /// What reads the memory of a template ahead; nil for other segments.
  let clone: TemplateClone?

  init(name: String, size: ByteCount, memory: PhysicalMemory, pager: (any Pager)? = nil) {
    self.name = name
    self.size = size
    clone = (pager as? ClonePager)?.clone
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
