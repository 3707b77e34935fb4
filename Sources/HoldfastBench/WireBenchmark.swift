internal import CHoldfastBench
public import Holdfast
public import HoldfastCore
internal import HoldfastLinux
internal import HoldfastStatistics
internal import SystemPackage

/// Compares ways to wire a guest's memory.
///
/// Each run prepares an arena, measures every strategy that works on it, frees it, and measures the
/// others. Strategies are thus interleaved run by run, and no more than one guest's memory is
/// allocated at a time. A first run does not count: memory that the machine has never accessed is
/// far slower.
public struct WireBenchmark: Sendable {
  /// The memory that is measured.
  public var memory: BenchmarkMemory
  /// The number of counted runs.
  public var runs: Int
  /// The strategies to measure.
  public var strategies: [WireStrategy]
  /// Whether each measurement follows the same work on a guest of one page, and a floor the same
  /// floor, so that the code is in the caches. Otherwise it follows the zeroing of all memory alone.
  public var isWarm: Bool

  /// Creates a benchmark; the parameters are the properties.
  public init(
    memory: BenchmarkMemory, runs: Int, strategies: [WireStrategy], isWarm: Bool = false
  ) {
    self.isWarm = isWarm
    self.memory = memory
    self.runs = runs
    self.strategies = strategies
  }

  /// The times of one strategy, or why there are none.
  public struct Measurement: Sendable {
    /// The strategy.
    public let strategy: WireStrategy
    /// The seconds of each counted run.
    public internal(set) var seconds: [Double] = []
    /// Why the strategy could not be measured, or nil.
    public internal(set) var problem: String?

    /// The middle value, or the upper one of the two in the middle; nil without values.
    public var median: Double? { HoldfastBench.median(seconds) }
  }

  /// What was measured.
  public struct Result: Sendable {
    /// The size of the guest's memory.
    public let memory: ByteCount
    /// The number of counted runs.
    public let runs: Int
    /// The threads that populated and zeroed memory.
    public let threads: Int
    /// The backing of the arena.
    public let backing: Backing
    /// How long the arena took to prepare in each counted run.
    public let arenaSeconds: [Double]
    /// The measurements, one for each strategy.
    public let measurements: [Measurement]
    /// Why better backings were passed over.
    public let fallbacks: [String]
    /// Where the guests of `prefault` were.
    public let placement: GuestPlacement

    /// The pairs of strategies that were both measured, the baseline first.
    var comparisons: [(baseline: Measurement, candidate: Measurement)] {
      WireStrategy.comparisons(on: backing, isPlaced: placement == .direct).compactMap { pair in
        guard let baseline = self[pair.baseline], let candidate = self[pair.candidate] else {
          return nil
        }
        return (baseline, candidate)
      }
    }

    /// The measurement of a strategy; nil if it was not measured.
    public subscript(_ strategy: WireStrategy) -> Measurement? {
      measurements.first { $0.strategy == strategy && !$0.seconds.isEmpty }
    }
  }

  /// What was measured so far.
  struct State {
    /// The measurements, one for each strategy.
    fileprivate(set) var measurements: [Measurement]
    fileprivate var arenaSeconds: [Double] = []
    fileprivate(set) var backing: Backing?
    fileprivate var fallbacks: [String] = []
    fileprivate(set) var placement = GuestPlacement.window

    init(_ benchmark: WireBenchmark) {
      measurements = benchmark.strategies.map { Measurement(strategy: $0) }
      backing = benchmark.memory.backing
    }
  }

  /// Runs the benchmark.
  ///
  /// - Parameter progress: called before each step; may throw to end the benchmark.
  /// - Throws: `HoldfastError` if the arena or a strategy of Holdfast fails. The failure of a
  ///   strategy of the kernel is in the result instead.
  public func run(
    progress: (BenchmarkStep) throws(HoldfastError) -> Void = { _ in }
  ) throws(HoldfastError) -> Result {
    var state = State(self)
    for run in 0...runs {
      // Strategies that have failed are omitted.
      var number = run * stepsPerRun
      try measure(run, &state) { (name) throws(HoldfastError) in
        try progress(
          BenchmarkStep(run: run, name: name, number: number, count: (runs + 1) * stepsPerRun))
        number += 1
      }
    }
    guard let backing = state.backing else { preconditionFailure("a benchmark without an arena") }
    return Result(
      memory: memory.size, runs: runs, threads: memory.threads, backing: backing,
      arenaSeconds: state.arenaSeconds, measurements: state.measurements,
      fallbacks: state.fallbacks, placement: state.placement)
  }

  /// The preparation of the arena, and the strategies.
  var stepsPerRun: Int { 1 + strategies.count }

  /// Does one run, which does not count if its number is 0.
  ///
  /// - Parameter progress: called with the name of each step before it; may throw to end the run.
  func measure(
    _ run: Int, _ state: inout State, progress: (String) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    var memory = memory
    memory.backing = state.backing
    try progress(BenchmarkStep.arena)
    do {
      let arena = try memory.makeArena()
      state.backing = arena.backing
      if run == 0 {
        state.fallbacks = arena.preparation.fallbacks
        state.placement = try self.memory.makeGuest(on: arena, for: .wiring).placement
      }
      if run > 0 { state.arenaSeconds.append(arena.preparation.duration.seconds) }
      try measure(&state.measurements, run: run, onArena: true) {
        (strategy) throws(HoldfastError) in
        try progress(strategy.rawValue)
        return try seconds(of: strategy, on: arena)
      }
    }
    guard let backing = state.backing else { return }
    try measure(&state.measurements, run: run, onArena: false) { (strategy) throws(HoldfastError) in
      try progress(strategy.rawValue)
      return shortage(of: strategy, like: backing) ?? seconds(of: strategy, like: backing)
    }
  }

  /// The seconds of one run, or why it could not be measured.
  private enum Outcome {
    case seconds(Double)
    case problem(String)

    /// What a function in C returned.
    init(_ value: Double) {
      let error = Errno(rawValue: value < 0 ? Int32(-value) : 0)
      self =
        switch error.rawValue {
        case 0: .seconds(value)
        // MADV_POPULATE_WRITE reports a shortage as a bad address where an access would raise
        // SIGBUS.
        case Errno.badAddress.rawValue:
          .problem("the kernel refuses memory: a limit applies, such as that of a cgroup")
        case Errno.fileTooLarge.rawValue: .problem(ResourceLimits.fileSizeWords)
        default: .problem("\(error)")
        }
    }
  }

  /// Measures the strategies that work on an arena, or the others; each run begins with another
  /// one.
  private func measure(
    _ measurements: inout [Measurement], run: Int, onArena: Bool,
    _ body: (WireStrategy) throws(HoldfastError) -> Outcome
  ) throws(HoldfastError) {
    for step in measurements.indices {
      let index = (step + run) % measurements.count
      let strategy = measurements[index].strategy
      guard strategy.needsArena == onArena, measurements[index].problem == nil else { continue }
      switch try body(strategy) {
      case .seconds(let seconds): if run > 0 { measurements[index].seconds.append(seconds) }
      case .problem(let problem):
        measurements[index].problem = problem
        measurements[index].seconds = []
      }
    }
  }

  /// Why a strategy that allocates huge pages would fail, or one that allocates ordinary memory
  /// would make the kernel kill a process, or nil.
  private func shortage(of strategy: WireStrategy, like backing: Backing) -> Outcome? {
    let host = HostProbe().host().confined(to: memory.nodes)
    if let page = backing.hugePageSize, strategy.allocates(like: backing) {
      let limit = host.hugePages.first { $0.size == page }?.cgroup
      return limit.flatMap { limit in
        limit.remaining < memory.size
          ? .problem("needs \(memory.size), but \(limit.words)") : nil
      }
    }
    let needed = memory.size + .mebibytes(256)
    if let limit = host.memoryLimit(refusing: needed) {
      return .problem("needs \(needed), but \(limit.words)")
    }
    guard let available = host.roomForGuests, available < needed else { return nil }
    return .problem(
      "needs \(needed.rawValue >> 20) MiB of ordinary memory, "
        + "\(available.rawValue >> 20) MiB are available")
  }

  private func seconds(
    of strategy: WireStrategy, on arena: Arena
  ) throws(HoldfastError) -> Outcome {
    // Every strategy starts right after all memory was zeroed, with the caches full of that memory.
    // Otherwise a floor that is measured after a small strategy would be too low.
    arena.memory.forgetZeroedFrames()
    arena.memory.zeroFreeFrames()
    if strategy.mapsFile, arena.descriptor == nil {
      return .problem("maps the arena's file, which \(arena.backing.rawValue) does not have")
    }
    if isWarm {
      _ = try seconds(of: strategy, on: arena, arena.geometry.pageSize)
      // The page of the warm-up.
      arena.memory.zeroFreeFrames()
    }
    return try seconds(of: strategy, on: arena, arena.size)
  }

  private func seconds(
    of strategy: WireStrategy, on arena: Arena, _ size: ByteCount
  ) throws(HoldfastError) -> Outcome {
    let length = Int(size.rawValue)
    let descriptor = arena.descriptor ?? -1
    let isHuge: Int32 = arena.backing.hugePageSize == nil ? 0 : 1
    switch strategy {
    case .fault: return .seconds(try wireSeconds(arena, size, .mapping, .fault, zeroed: true))
    case .prefault: return .seconds(try wireSeconds(arena, size, .wiring, .prefault, zeroed: true))
    case .window: return .seconds(try wireSeconds(arena, size, .mapping, .prefault, zeroed: true))
    case .prefaultDirty:
      return .seconds(try wireSeconds(arena, size, .wiring, .prefault, zeroed: false))
    case .unmap: return .seconds(try unmapSeconds(arena, size))
    case .zero: return .seconds(zeroSeconds(arena, size))
    case .touch:
      guard arena.sharesPageTables || arena.size < .gibibytes(1) else {
        return .problem("the kernel shares no page tables of \(arena.backing.rawValue) here")
      }
      return Outcome(hf_bench_touch(descriptor, length))
    case .remap: return Outcome(hf_bench_remap(descriptor, length))
    case .munmap: return Outcome(hf_bench_munmap(descriptor, length))
    case .continueAll: return Outcome(hf_bench_continue(descriptor, length, length, isHuge))
    case .uffdContinue:
      let page = Int(arena.geometry.pageSize.rawValue)
      return Outcome(hf_bench_continue(descriptor, length, page, isHuge))
    case .populate, .mapPopulate, .mlock, .mlockThreads, .mlockHuge, .mlockHugeThreads:
      preconditionFailure("\(strategy) does not work on an arena")
    }
  }

  /// The time in mapping and wiring one segment of the whole memory.
  private func wireSeconds(
    _ arena: Arena, _ size: ByteCount, _ purpose: GuestPurpose, _ path: GuestMemory.WirePath,
    zeroed: Bool
  ) throws(HoldfastError) -> Double {
    // Private memory serves only guests for wiring.
    let purpose = arena.backing.hasFile ? purpose : .wiring
    if !zeroed { arena.memory.forgetZeroedFrames() }
    let made = Instant.now
    let guest = try memory.makeGuest(on: arena, for: purpose)
    let segment = try guest.allocateSegment("ram", size: size)
    // If the guest is placed in the arena, its creation zeroes the dirty frames.
    let start = guest.placement == .direct && !zeroed ? made : Instant.now
    let receipt = try guest.map(segment, at: .zero, options: .wired, path: path)
    let end = Instant.now
    guard receipt.wiredBytes == size else {
      throw HoldfastError(
        .resourceShortage, operation: "measure \(path.rawValue)",
        reason: "only \(receipt.wiredBytes) of \(size) were wired")
    }
    return (end - start).seconds
  }

  /// The time in unmapping all of a window and freeing its frames.
  private func unmapSeconds(_ arena: Arena, _ size: ByteCount) throws(HoldfastError) -> Double {
    let guest = try memory.makeGuest(on: arena, for: .mapping)
    var segment: MemorySegment? = try guest.allocateSegment("ram", size: size)
    guard let ram = segment else { return 0 }
    try guest.map(ram, at: .zero, options: .wired)
    let start = Instant.now
    try guest.unmap(AddressRange(from: .zero, to: .zero + size))
    try guest.freeSegment(ram)
    segment = nil
    return (Instant.now - start).seconds
  }

  /// The time of the fastest way to zero all of the arena.
  private func zeroSeconds(_ arena: Arena, _ size: ByteCount) -> Double {
    let all = FrameRun(Frame(0), arena.geometry.pages(in: size))
    return ZeroingKernel.supported.map { kernel in
      let start = Instant.now
      arena.zero(all, by: kernel)
      return (Instant.now - start).seconds
    }.min() ?? 0
  }

  private func seconds(of strategy: WireStrategy, like backing: Backing) -> Outcome {
    let length = Int(memory.size.roundedUp(to: backing.geometry.pageSize)?.rawValue ?? 0)
    let shift = backing.hugePageSize.map { UInt32($0.rawValue.trailingZeroBitCount) } ?? 0
    let threads = Int32(clamping: memory.threads)
    func measured() -> Outcome {
      switch strategy {
      case .mapPopulate: Outcome(hf_bench_map_populate(length, backing == .hugetlb2M ? 1 : 0))
      case .mlock: Outcome(hf_bench_mlock(length, 0, 1))
      case .mlockThreads: Outcome(hf_bench_mlock(length, 0, threads))
      case .mlockHuge: Outcome(hf_bench_mlock(length, 1, 1))
      case .mlockHugeThreads: Outcome(hf_bench_mlock(length, 1, threads))
      default: Outcome(hf_bench_populate(length, shift, backing.populatedKind, threads))
      }
    }
    return memory.nodes?.whileTouching(measured) ?? measured()
  }
}

extension Backing {
  /// The memory of this kind that the kernel populates alone.
  fileprivate var populatedKind: Int32 {
    switch self {
    case .hugetlb1G, .hugetlb2M, .base: Int32(HF_BENCH_PLAIN)
    case .thp: Int32(HF_BENCH_SHARED_HUGE)
    case .thpPrivate: Int32(HF_BENCH_PRIVATE)
    }
  }
}
