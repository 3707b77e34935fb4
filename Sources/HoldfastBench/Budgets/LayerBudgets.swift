public import HoldfastCore

/// The budgets of the VM layer alone, on the null pmap: no kernel, and no memory.
enum LayerBudgets {
  /// Wiring 16 TiB, what its metadata takes, and what an operation costs among many mappings.
  static func rows(runs: Int) throws(HoldfastError) -> [Budget] {
    let size = ByteCount.tebibytes(16)
    let geometry = Geometry.small
    let frames = FrameRun(Frame(0), geometry.pages(in: size))
    let memory = PhysicalMemory(
      allocator: try FrameAllocator(geometry: geometry, frames: frames, zeroed: true),
      store: NullFrameStore())
    let range = AddressRange(from: .zero, to: .zero + size)
    var seconds: [Double] = []
    var share = 0.0
    for run in 0...runs {
      let space = try AddressSpace(bounds: range, memory: memory, pmap: NullPmap())
      let object = MemoryObject(memory: memory, size: geometry.pages(in: size))
      defer { object.release() }
      try space.map(object, offset: PageIndex(0), at: range, protection: .readWrite)
      let start = Instant.now
      _ = try space.wire(range)
      if run > 0 { seconds.append((Instant.now - start).seconds) }
      let metadata = memory.allocator.metadata + object.metadata + space.metadata
      share = Double(metadata.rawValue) / Double(size.rawValue)
      try space.remove(range)
    }
    return [
      Budget("wire 16 TiB, null pmap", .seconds, 0.02, median(seconds)),
      Budget("metadata of 16 TiB", .share, 0.001, share),
      Budget(
        "protect a page among 100,000 mappings", against: "among 1,000", .times, 3,
        try protectRatio(runs: runs)),
    ]
  }

  /// How much longer protecting one page takes in a large address space than in a small one.
  private static func protectRatio(runs: Int) throws(HoldfastError) -> Double? {
    let spaces = (try space(mappings: 1000), try space(mappings: 100_000))
    var ratios: [Double] = []
    for run in 0...runs {
      let small = try protectSeconds(spaces.0, mappings: 1000)
      let large = try protectSeconds(spaces.1, mappings: 100_000)
      if run > 0, small > 0 { ratios.append(large / small) }
    }
    return median(ratios)
  }

  /// An address space of mappings of two pages each, with a hole between neighbors.
  private static func space(mappings: UInt64) throws(HoldfastError) -> AddressSpace {
    let bounds = AddressRange(from: .zero, to: Address(mappings * 4 << 12))
    let memory = PhysicalMemory(
      allocator: try FrameAllocator(
        geometry: .small, frames: FrameRun(Frame(0), PageCount(512)), zeroed: true),
      store: NullFrameStore())
    let space = try AddressSpace(bounds: bounds, memory: memory, pmap: NullPmap())
    for number in 0..<mappings {
      let start = Address(number * 4 << 12)
      try space.map(at: AddressRange(from: start, to: start + .kibibytes(8)))
    }
    return space
  }

  private static func protectSeconds(
    _ space: AddressSpace, mappings: UInt64
  ) throws(HoldfastError) -> Double {
    let start = Instant.now
    // An odd step, so that the look-ups are spread over the whole space.
    for number in 0..<UInt64(2000) {
      let first = Address(number * 48_271 % mappings * 4 << 12)
      let page = AddressRange(from: first, to: first + .kibibytes(4))
      try space.protect(page, .read)
      try space.protect(page, .readWrite)
    }
    return (Instant.now - start).seconds
  }
}

extension BudgetBenchmark {
  /// The rows of the VM layer alone.
  public func layer() throws(HoldfastError) -> [Budget] { try LayerBudgets.rows(runs: runs) }
}
