internal import CHoldfastBench
internal import Holdfast
public import HoldfastCore
public import HoldfastLinux
internal import HoldfastStatistics
internal import SystemPackage

/// Measures ways to wire a guest's memory against each other.
///
/// Each run prepares an arena, measures every strategy that works on it, drops it, and measures the
/// others; so strategies are interleaved run by run, and no more than one guest's memory is taken
/// at a time. A first run is not counted: memory that the machine has never touched is far slower.
public struct WireBenchmark: Sendable {
  public var memory: ByteCount
  /// Counted runs.
  public var runs: Int
  public var strategies: [WireStrategy]
  /// Nil for the best that the host offers.
  public var backing: Backing?
  /// The NUMA nodes that all memory comes from, the kernel's own strategies' too; nil for any.
  public var nodes: HostNodes?
  /// Which of the arena's nodes the guests' pages come from.
  public var guestPolicy: DomainPolicy
  /// Threads that bring memory in and zero it.
  public var threads: Int
  public var host: HostCapabilities

  public init(
    memory: ByteCount, runs: Int, strategies: [WireStrategy], backing: Backing?,
    nodes: HostNodes? = nil, guestPolicy: DomainPolicy = .firstTouch, threads: Int,
    host: HostCapabilities
  ) {
    self.memory = memory
    self.runs = runs
    self.strategies = strategies
    self.backing = backing
    self.nodes = nodes
    self.guestPolicy = guestPolicy
    self.threads = threads
    self.host = host
  }

  /// The seconds of one strategy, a value a run, or why there are none.
  public struct Measurement: Sendable {
    public let strategy: WireStrategy
    public internal(set) var seconds: [Double] = []
    public internal(set) var problem: String?

    /// The middle value, or the average of the two in the middle; nil without values.
    public var median: Double? { HoldfastBench.median(seconds) }
  }

  /// What is about to be measured.
  public struct Step: Hashable, Sendable {
    /// From 1; 0 is the warm-up.
    public let run: Int
    /// Nil while the arena is prepared.
    public let strategy: WireStrategy?
    /// How many steps come before it, of how many in all runs.
    public let number: Int
    public let count: Int
  }

  public struct Result: Sendable {
    public let memory: ByteCount
    public let runs: Int
    public let threads: Int
    public let backing: Backing
    /// How long the arena took to prepare, a value a run.
    public let arenaSeconds: [Double]
    public let measurements: [Measurement]
    public let fallbacks: [String]

    public subscript(_ strategy: WireStrategy) -> Measurement? {
      measurements.first { $0.strategy == strategy && !$0.seconds.isEmpty }
    }
  }

  /// Runs all of it.
  ///
  /// - Parameter progress: called before each step.
  /// - Throws: where the arena cannot be had or a strategy of Holdfast's fails. A strategy of the
  ///   kernel's that fails has its problem in the result instead.
  public func run(progress: (Step) -> Void = { _ in }) throws(HoldfastError) -> Result {
    var measurements = strategies.map { Measurement(strategy: $0) }
    var arenaSeconds: [Double] = []
    var backing = backing
    var fallbacks: [String] = []
    let stepsPerRun = 1 + strategies.count
    var number = 0
    func step(_ run: Int, _ strategy: WireStrategy?) -> Step {
      defer { number += 1 }
      return Step(
        run: run, strategy: strategy, number: number, count: (runs + 1) * stepsPerRun)
    }
    for run in 0...runs {
      // Strategies that have failed are left out.
      number = run * stepsPerRun
      progress(step(run, nil))
      do {
        let arena = try makeArena(backing)
        backing = arena.backing
        if run == 0 { fallbacks = arena.preparation.fallbacks }
        if run > 0 { arenaSeconds.append(arena.preparation.duration.seconds) }
        try measure(&measurements, run: run, onArena: true) { (strategy) throws(HoldfastError) in
          progress(step(run, strategy))
          return try seconds(of: strategy, on: arena)
        }
      }
      guard let backing else { continue }
      try measure(&measurements, run: run, onArena: false) { (strategy) throws(HoldfastError) in
        progress(step(run, strategy))
        return shortage(of: strategy, like: backing) ?? seconds(of: strategy, like: backing)
      }
    }
    guard let backing else { preconditionFailure("a benchmark without an arena") }
    return Result(
      memory: memory, runs: runs, threads: threads, backing: backing, arenaSeconds: arenaSeconds,
      measurements: measurements, fallbacks: fallbacks)
  }

  /// The seconds of one run, or why it could not be measured.
  private enum Outcome {
    case seconds(Double)
    case problem(String)

    /// What a function in C returned.
    init(_ value: Double) {
      self = value < 0 ? .problem("\(Errno(rawValue: Int32(-value)))") : .seconds(value)
    }
  }

  /// Measures the strategies that work on an arena, or the others, from another one on in each run.
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

  /// Why a strategy that takes ordinary memory of its own cannot be measured without the kernel
  /// having to kill someone for it.
  private func shortage(of strategy: WireStrategy, like backing: Backing) -> Outcome? {
    guard strategy == .mlock || backing.hugePageSize == nil else { return nil }
    let available = HostProbe().host().confined(to: nodes).availableForGuests
    let needed = memory + .mebibytes(256)
    guard available < needed else { return nil }
    return .problem(
      "it needs \(needed.rawValue >> 20) MiB of ordinary memory, "
        + "\(available.rawValue >> 20) MiB are available")
  }

  private func makeArena(_ backing: Backing?) throws(HoldfastError) -> Arena {
    return try Arena(
      size: memory, backing: backing, nodes: nodes, host: host, threads: threads)
  }

  private func seconds(
    of strategy: WireStrategy, on arena: Arena
  ) throws(HoldfastError) -> Outcome {
    // All start alike: right after all of the memory was zeroed, with the caches full of that. Else
    // a floor that is measured after something small would be too low.
    arena.memory.forgetZeroedFrames()
    arena.memory.zeroFreeFrames()
    let length = Int(arena.size.rawValue)
    let file = arena.descriptor
    if file == nil, [.memset, .remap, .uffdContinue].contains(strategy) {
      return .problem("it maps the arena's file, and \(arena.backing.rawValue) has none")
    }
    let descriptor = file ?? -1
    switch strategy {
    case .fault: return .seconds(try wireSeconds(arena, .fault, zeroed: true))
    case .prefault: return .seconds(try wireSeconds(arena, .prefault, zeroed: true))
    case .prefaultDirty: return .seconds(try wireSeconds(arena, .prefault, zeroed: false))
    case .memset:
      return Outcome(hf_bench_memset(descriptor, length, Int32(clamping: threads)))
    case .remap: return Outcome(hf_bench_remap(descriptor, length))
    case .uffdContinue:
      return Outcome(
        hf_bench_continue(
          descriptor, length, Int(arena.geometry.pageSize.rawValue),
          arena.backing.hugePageSize == nil ? 0 : 1))
    case .mlock, .populate: preconditionFailure("\(strategy) does not work on an arena")
    }
  }

  /// The time in mapping and wiring one segment of the whole memory.
  private func wireSeconds(
    _ arena: Arena, _ path: GuestMemory.WirePath, zeroed: Bool
  ) throws(HoldfastError) -> Double {
    if !zeroed { arena.memory.forgetZeroedFrames() }
    let clock = ContinuousClock()
    let made = clock.now
    let guest = try GuestMemory(
      arena: arena, limit: arena.size, hostNUMANode: guestPolicy, host: host)
    let segment = try guest.allocateSegment("ram", size: arena.size)
    // Where the guest is placed in the arena, dirty frames are zeroed when it is made.
    let start = arena.backing.hasFile ? clock.now : made
    let receipt = try guest.map(segment, at: .zero, options: .wired, path: path)
    let end = clock.now
    guard receipt.wiredBytes == arena.size else {
      throw HoldfastError(
        .resourceShortage, operation: "measure \(path.rawValue)",
        reason: "only \(receipt.wiredBytes) of \(arena.size) were wired")
    }
    return (end - start).seconds
  }

  private func seconds(of strategy: WireStrategy, like backing: Backing) -> Outcome {
    let length = Int(memory.roundedUp(to: backing.geometry.pageSize)?.rawValue ?? 0)
    let shift = backing.hugePageSize.map { UInt32($0.rawValue.trailingZeroBitCount) } ?? 0
    func measured() -> Outcome {
      strategy == .mlock
        ? Outcome(hf_bench_mlock(length))
        : Outcome(
          hf_bench_populate(
            length, shift, backing.isTransparentHuge ? 1 : 0, Int32(clamping: threads)))
    }
    return nodes?.whileTouching(measured) ?? measured()
  }
}

/// The middle of some values, or the average of the two in the middle; nil without values.
func median(_ values: [Double]) -> Double? {
  if values.isEmpty { return nil }
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

extension Duration {
  /// The duration as a number of seconds.
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
