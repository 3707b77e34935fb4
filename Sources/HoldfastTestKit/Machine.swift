package import HoldfastCore

/// A simulated machine, for tests: physical memory in a `MemoryFrameStore`, and address spaces on
/// it.
package struct Machine: Sendable {
  /// The page sizes.
  package let geometry: Geometry
  /// The frames' bytes.
  package let store: MemoryFrameStore
  /// The physical memory.
  package let memory: PhysicalMemory
  /// The wired limit of all address spaces.
  package let wiredLimit: WiredLimit
  /// How much a fault of the address spaces makes resident.
  package let faultGranularity: FaultGranularity

  /// A machine of `frames` base pages.
  ///
  /// - Parameters:
  ///   - dirty: whether the frames contain garbage and count as dirty.
  ///   - domains: the numbers of pages of NUMA nodes 0, 1 and so on; `frames` is their sum then.
  ///     Empty for one domain without a node.
  ///   - faultGranularity: how much a fault of the address spaces makes resident.
  ///   - local: returns the node that the calling thread runs on.
  package init(
    geometry: Geometry = .small, frames: UInt64 = 1 << 14, dirty: Bool = false,
    wiredLimit: WiredLimit = .none, domains: [UInt64] = [],
    faultGranularity: FaultGranularity = .basePage,
    local: @escaping @Sendable () -> NodeID? = { nil }
  ) {
    let frames = domains.isEmpty ? frames : domains.reduce(0, +)
    self.geometry = geometry
    self.wiredLimit = wiredLimit
    self.faultGranularity = faultGranularity
    store = MemoryFrameStore(
      geometry: geometry, count: PageCount(frames), garbage: dirty ? 0xA5 : 0)
    var parts: [FrameAllocator.Part] = []
    for pages in domains {
      let start = parts.last?.frames.end ?? Frame(0)
      parts.append(.init(FrameRun(start, PageCount(pages)), node: NodeID(UInt32(parts.count))))
    }
    if parts.isEmpty { parts = [.init(FrameRun(Frame(0), PageCount(frames)), node: nil)] }
    let allocator = FrameAllocator(
      geometry: geometry, checked: parts, topology: NodeTopology(local: local), zeroed: !dirty)
    memory = PhysicalMemory(allocator: allocator, store: store)
  }

  /// The memory's allocator.
  package var allocator: FrameAllocator { memory.allocator }

  /// Makes an address space of 64 TiB from address 0 on, with a checking pmap.
  package func makeSpace(
    policy: DomainPolicy = .firstTouch, mappingLimit: MappingLimit? = nil
  ) -> (space: AddressSpace, pmap: CheckingPmap) {
    let pmap = CheckingPmap(geometry: geometry, mappingLimit: mappingLimit)
    do throws(HoldfastError) {
      let space = try AddressSpace(
        bounds: AddressRange(from: .zero, to: Address(1 << 46)),
        memory: memory.withPolicy(policy), pmap: pmap, wiredLimit: wiredLimit,
        faultGranularity: faultGranularity)
      return (space, pmap)
    } catch {
      preconditionFailure("64 TiB are not aligned: \(error)")
    }
  }

  /// The free frames that the allocator counts as zeroed although they are not zero. Called while
  /// no other thread works.
  package var falselyZeroed: [FrameRun] {
    var found: [FrameRun] = []
    var zeroed: [FrameRun] = []
    var dirty: [FrameRun] = []
    var known = 0
    while let block = allocator.allocateLargest(order: geometry.maximumOrder, dirty: &dirty) {
      var start = block.run.start
      for run in dirty[known...].sorted(by: { $0.start < $1.start }) {
        zeroed.append(FrameRun(start, run.start - start))
        start = run.end
      }
      zeroed.append(FrameRun(start, block.run.end - start))
      known = dirty.count
    }
    for run in zeroed where run.count > .zero {
      if !store.isZero(run) { found.append(run) }
      allocator.free(run, zeroed: true)
    }
    for run in dirty { allocator.free(run, zeroed: false) }
    return found
  }

  /// The addresses of base pages, counted from address 0.
  package func range(_ pages: Range<UInt64>) -> AddressRange {
    AddressRange(from: address(pages.lowerBound), to: address(pages.upperBound))
  }

  /// The address of a base page, counted from address 0.
  package func address(_ page: UInt64) -> Address {
    .zero + geometry.bytes(PageCount(page))
  }
}

extension Machine {
  /// Counts the free superpages of 512 frames, by allocating them all for a moment.
  package func freeSuperpages() -> Int {
    var dirty: [FrameRun] = []
    var held: [FrameAllocator.Allocation] = []
    while let block = allocator.allocate(order: 9, dirty: &dirty) { held.append(block) }
    for block in held { allocator.free(block.run, zeroed: block.isZeroed) }
    return held.count
  }
}

extension FrameAllocator {
  /// Allocates a frame, zeroed or dirty; nil where it is not free.
  package func allocate(_ wanted: Frame) -> Allocation? {
    var dirty: [FrameRun] = []
    return allocate(wanted, order: 0, dirty: &dirty)
  }
}

extension AddressSpace {
  /// Reads `count` bytes from an address on.
  package func read(_ address: Address, count: Int) throws(HoldfastError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try read(address, into: &raw)
    return bytes
  }

  /// Writes bytes from an address on.
  package func write(_ bytes: [UInt8], at address: Address) throws(HoldfastError) {
    try unsafe write(bytes.span.bytes, to: address)
  }
}
