internal import CHoldfastBench
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

/// What it costs to wire memory that a guest shares with the one that it was forked from, all of
/// which is copied, against memcpy(3) of the same memory on as many threads.
struct CopyBudget {
  /// The memory of the arena, half of which a guest has.
  let memory: BenchmarkMemory
  /// The number of counted runs.
  let runs: Int

  /// The most that a guest has.
  private static let most = ByteCount.gibibytes(1)

  /// The row.
  func row() throws(HoldfastError) -> Budget {
    var memory = memory
    memory.size = min(memory.size, .gibibytes(2))
    let arena = try memory.makeArena()
    let size = min(CopyBudget.most, ByteCount(memory.size.rawValue / 2))
    let range = AddressRange(from: .zero, to: .zero + size)
    let parent = try guest(on: arena, memory.host)
    let segment = try parent.allocateSegment("ram", size: size)
    try parent.map(segment, at: .zero, options: .wired)
    try parent.unwire(range)
    var ratios: [Double] = []
    for run in 0...runs {
      // Otherwise the copies would go to frames that have to be zeroed for the others first.
      arena.memory.zeroFreeFrames()
      let (child, _) = try parent.fork()
      let receipt = try child.wire(range)
      let floor = hf_bench_copy(
        parent.hostAddress, child.hostAddress, Int(size.rawValue), Int32(clamping: memory.threads))
      if run > 0, floor > 0 { ratios.append(receipt.duration.seconds / floor) }
    }
    return Budget(
      "wire shared memory, copied", against: "memcpy", .times, 1.3, HoldfastBench.median(ratios))
  }

  private func guest(
    on arena: Arena, _ host: HostCapabilities
  ) throws(HoldfastError) -> GuestMemory {
    try GuestMemory(arena: arena, limit: arena.size, demandPaging: DemandPaging(), host: host)
  }
}
