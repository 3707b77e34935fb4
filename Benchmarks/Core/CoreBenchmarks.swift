import Benchmark
import HoldfastCore

/// The VM layer alone: frames without memory, and a pmap that maps nothing.
private func makeMemory(_ geometry: Geometry, _ size: ByteCount) throws -> PhysicalMemory {
  PhysicalMemory(
    allocator: try FrameAllocator(
      geometry: geometry, frames: FrameRun(Frame(0), geometry.pages(in: size)), zeroed: true),
    store: NullFrameStore())
}

private func wire(_ geometry: Geometry, _ size: ByteCount, _ benchmark: Benchmark) throws {
  let memory = try makeMemory(geometry, size)
  let range = AddressRange(start: .zero, length: size)!
  for _ in benchmark.scaledIterations {
    let space = try AddressSpace(bounds: range, memory: memory, pmap: NullPmap())
    try space.map(at: range)
    benchmark.startMeasurement()
    try space.wire(range)
    benchmark.stopMeasurement()
    try space.remove(range)
  }
}

/// A guest with this number of map entries. All of its memory is resident: in superpages, or in
/// base pages because page faults took frames out of order.
private func makeParent(
  _ size: ByteCount, entries: UInt64, ordered: Bool
) throws -> AddressSpace {
  let memory = try makeMemory(.small, size + .gibibytes(1))
  let space = try AddressSpace(
    bounds: AddressRange(start: .zero, length: size)!, memory: memory, pmap: NullPmap())
  let part = ByteCount(size.rawValue / entries)
  for entry in 0..<entries {
    let start = Address(entry * part.rawValue)
    // Adjacent entries that are equal would merge.
    try space.map(
      at: AddressRange(start: start, length: part)!, protection: entry % 2 == 0 ? .readWrite : .all)
  }
  if !ordered {
    for page in stride(from: memory.geometry.pages(in: size).rawValue - 1, to: 0, by: -2) {
      try space.fault(Address(page << 12), .write)
    }
  }
  try space.wire(space.bounds)
  try space.unwire(space.bounds)
  return space
}

private let orders = [("4 KiB", 0), ("2 MiB", 9), ("1 GiB", 18)]

let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.wallClock], warmupIterations: 2, maxDuration: .seconds(3), maxIterations: 1000)

  for (name, geometry) in [("4 KiB", Geometry.small), ("2 MiB", .large), ("1 GiB", .giant)] {
    for tebibytes in [UInt64(1), 16] {
      Benchmark("wire \(tebibytes) TiB, null pmap, base page \(name)") { benchmark in
        try wire(geometry, .tebibytes(tebibytes), benchmark)
      }
    }
  }

  for (name, size, entries, ordered) in [
    ("10 GiB in superpages, 1 entry", .gibibytes(10), 1, true),
    ("10 GiB in base pages, 1 entry", .gibibytes(10), 1, false),
    ("1 TiB in superpages, 1 entry", .tebibytes(1), 1, true),
    ("16 GiB in superpages, 128 entries", .gibibytes(16), 128, true),
    ("16 GiB in superpages, 1024 entries", .gibibytes(16), 1024, true),
  ] as [(String, ByteCount, UInt64, Bool)] {
    Benchmark("fork \(name)") { benchmark, parent in
      for _ in benchmark.scaledIterations {
        benchmark.startMeasurement()
        let child = try parent.fork(pmap: NullPmap())
        benchmark.stopMeasurement()
        try child.remove(child.bounds)
      }
    } setup: {
      try makeParent(size, entries: entries, ordered: ordered)
    }
  }

  for (name, order) in orders {
    Benchmark(
      "allocate and free a block of \(name)", configuration: .init(scalingFactor: .kilo)
    ) { benchmark in
      let allocator = try makeMemory(.small, .gibibytes(64)).allocator
      var dirty: [FrameRun] = []
      benchmark.startMeasurement()
      for _ in benchmark.scaledIterations {
        guard let block = allocator.allocate(order: order, dirty: &dirty) else { return }
        allocator.free(block.run, zeroed: block.isZeroed)
      }
      benchmark.stopMeasurement()
    }
  }

  // The goal is 1 us for each, thus 2 us for both.
  for (name, order) in orders {
    for percent in [UInt64(10), 50, 90, 99] {
      Benchmark(
        "free and allocate a block of \(name), \(percent) % taken",
        configuration: .init(scalingFactor: .kilo)
      ) { benchmark, occupied in
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { occupied.step() }
        benchmark.stopMeasurement()
      } setup: {
        try OccupiedAllocator(percent: percent, order: order)
      }
    }
  }
}
