internal import HoldfastCore

/// One wire of memory that does not exist, once in a process.
///
/// Swift describes each generic type to itself when it is first used, and looks for its conformances
/// then. For the types of a wire that takes some 60 us, more than a wire. The preparation of an
/// arena, which takes milliseconds, does it instead, so that the first guest of a monitor, which is
/// mostly the only one, does not wait for it.
enum Rehearsal {
  /// The first access rehearses.
  static let done: Void = {
    // Nothing here can fail, and a failure would mean nothing.
    try? wire(.small)
    try? wire(.large)
    changeWindow()
    // The pages of a receipt.
    var pages: [ByteCount: UInt64] = [.zero: 1]
    pages[.mebibytes(2), default: 0] += 1
  }()

  private static func wire(_ geometry: Geometry) throws(HoldfastError) {
    let count = PageCount(512)
    let memory = PhysicalMemory(
      allocator: try FrameAllocator(
        geometry: geometry, frames: FrameRun(Frame(0), count), zeroed: true),
      store: NullFrameStore())
    let range = AddressRange(from: .zero, to: .zero + geometry.bytes(count))
    let space = try AddressSpace(bounds: range, memory: memory, pmap: NullPmap())
    let object = MemoryObject(memory: memory, size: count)
    defer { object.release() }
    try space.map(object, offset: PageIndex(0), at: range, protection: .readWrite)
    _ = try space.wire(range, [.user, .noHoles])
    var frames: [(Address, FrameRun)] = []
    space.forEachResident(in: range) { address, run, _ in frames.append((address, run)) }
    try space.remove(range)
  }

  private static func changeWindow() {
    let range = UInt64(0)..<4096
    var extents = WindowExtents()
    extents.insert(WindowExtents.Extent(range: range, delta: 0))
    _ = extents.covering(range)
    _ = extents.parts(of: range)
    extents.forEachTranslation(.small) { _, _, _, _ in }
    var mappings = WindowMappings(WindowMappings.Mapping(range, access: []), isHugetlb: true)
    let mapping = WindowMappings.Mapping(range, delta: 0, access: .readWrite)
    _ = mappings.added(by: mapping)
    mappings.set(mapping)
    _ = mappings.parts(of: range)
    var tables: Set<UInt64> = []
    tables.formUnion(UInt64(0)..<1)
    extents.remove(range)
  }
}
