import Benchmark
import HoldfastCore

/// The VM layer alone: no memory behind the frames, nothing behind the translations.
private func makeMemory(_ geometry: Geometry, _ size: ByteCount) -> PhysicalMemory {
  PhysicalMemory(
    allocator: FrameAllocator(
      geometry: geometry, frames: FrameRun(Frame(0), geometry.pages(in: size)), zeroed: true),
    store: NullFrameStore())
}

private func wire(_ geometry: Geometry, _ size: ByteCount, _ benchmark: Benchmark) throws {
  let memory = makeMemory(geometry, size)
  let range = AddressRange(.zero, .zero + size)
  for _ in benchmark.scaledIterations {
    let space = AddressSpace(bounds: range, memory: memory, pmap: NullPmap())
    try space.map(at: range)
    benchmark.startMeasurement()
    try space.wire(range)
    benchmark.stopMeasurement()
    try space.remove(range)
  }
}

/// An allocator of 64 GiB with nine tenths of its base pages taken, all over.
private func makeBusyAllocator() -> FrameAllocator {
  let allocator = makeMemory(.small, .gibibytes(64)).allocator
  var state: UInt64 = 1
  for frame in 0..<allocator.frames.count.rawValue {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    if (state >> 33) % 10 != 0 { _ = allocator.allocate(Frame(frame)) }
  }
  return allocator
}

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

  for (name, order) in [("4 KiB", 0), ("2 MiB", 9), ("1 GiB", 18)] {
    Benchmark(
      "allocate and free a block of \(name)", configuration: .init(scalingFactor: .kilo)
    ) { benchmark in
      let allocator = makeMemory(.small, .gibibytes(64)).allocator
      var dirty: [FrameRun] = []
      benchmark.startMeasurement()
      for _ in benchmark.scaledIterations {
        guard let block = allocator.allocate(order: order, dirty: &dirty) else { return }
        allocator.free(block.run, zeroed: block.isZeroed)
      }
      benchmark.stopMeasurement()
    }
  }

  Benchmark(
    "allocate and free a base page, nine tenths taken", configuration: .init(scalingFactor: .kilo)
  ) { benchmark, allocator in
    var dirty: [FrameRun] = []
    benchmark.startMeasurement()
    for _ in benchmark.scaledIterations {
      guard let block = allocator.allocate(order: 0, dirty: &dirty) else { return }
      allocator.free(block.run, zeroed: block.isZeroed)
    }
    benchmark.stopMeasurement()
  } setup: {
    makeBusyAllocator()
  }
}
