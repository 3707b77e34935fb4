package import HoldfastCore

/// A machine of made-up memory with address spaces on it, for tests.
package struct Machine: Sendable {
  package let geometry: Geometry
  package let store: MemoryFrameStore
  package let memory: PhysicalMemory
  package let wiredLimit: WiredLimit
  package let faultGranularity: FaultGranularity

  /// A machine of `frames` base pages.
  ///
  /// - Parameters:
  ///   - dirty: the frames hold garbage and the allocator knows it.
  ///   - domains: the pages of NUMA nodes 0, 1 and so on, where there are several; the frames are
  ///     their sum then.
  ///   - faultGranularity: how much the faults of its address spaces bring at once.
  ///   - local: the node that the caller runs on.
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
      geometry: geometry, parts: parts, topology: NodeTopology(local: local), zeroed: !dirty)
    memory = PhysicalMemory(allocator: allocator, store: store)
  }

  package var allocator: FrameAllocator { memory.allocator }

  /// An address space of 64 TiB from 0 on, with a checking pmap.
  package func makeSpace(
    policy: DomainPolicy = .firstTouch
  ) -> (space: AddressSpace, pmap: CheckingPmap) {
    let pmap = CheckingPmap(geometry: geometry)
    let space = AddressSpace(
      bounds: AddressRange(.zero, Address(1 << 46)), memory: memory.withPolicy(policy), pmap: pmap,
      wiredLimit: wiredLimit, faultGranularity: faultGranularity)
    return (space, pmap)
  }

  /// Free frames that the allocator takes for zero and that are not. Nobody is at work.
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

  /// The range of base pages `pages`, counted from address 0.
  package func range(_ pages: Range<UInt64>) -> AddressRange {
    AddressRange(address(pages.lowerBound), address(pages.upperBound))
  }

  package func address(_ page: UInt64) -> Address {
    .zero + geometry.bytes(PageCount(page))
  }
}

extension FrameAllocator {
  /// Allocates the very frame asked for, whatever it holds.
  package func allocate(_ wanted: Frame) -> Allocation? {
    var dirty: [FrameRun] = []
    return allocate(wanted, order: 0, dirty: &dirty)
  }
}

extension AddressSpace {
  /// The bytes from an address on.
  package func read(_ address: Address, count: Int) throws(HoldfastError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try read(address, into: &raw)
    return bytes
  }

  package func write(_ bytes: [UInt8], at address: Address) throws(HoldfastError) {
    try unsafe write(bytes.span.bytes, to: address)
  }
}
