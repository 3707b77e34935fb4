internal import Holdfast
public import HoldfastCore
internal import HoldfastLinux

/// Measures what the work of Holdfast costs, against what it may cost.
///
/// Each row is measured in the same runs as what it is compared with, and each measurement of
/// wiring follows the same work on one page: a budget is for a monitor that has started guests
/// before. Huge pages are measured apart
/// from ordinary memory, so that they can be borrowed for that time.
public struct BudgetBenchmark: Sendable {
  /// The guests' memory; its backing does not matter.
  public var memory: BenchmarkMemory
  /// The number of counted runs.
  public var runs: Int

  /// Creates a benchmark; the parameters are the properties.
  public init(memory: BenchmarkMemory, runs: Int) {
    self.memory = memory
    self.runs = runs
  }

  /// The rows of hugetlb pages of 2 MiB.
  ///
  /// - Parameter progress: called before each step of wiring; may throw to end the benchmark.
  /// - Throws: `HoldfastError` where there are too few of them.
  public func hugePages(
    progress: (BenchmarkStep) throws(HoldfastError) -> Void = { _ in }
  ) throws(HoldfastError) -> [Budget] {
    let result = try measure(
      .hugetlb2M,
      [
        .prefault, .fault, .prefaultDirty, .unmap, .touch, .uffdContinue, .zero, .munmap,
        .populate,
      ], progress)
    let receipts = try receipts(.hugetlb2M)
    return [
      ratio("wire, hugetlb 2 MiB", .prefault, .touch, 1.5, result),
      seconds("wire, hugetlb 2 MiB", .prefault, 100e-6, result),
      ratio("wire page by page", .fault, .uffdContinue, 1.5, result),
      speed("wire dirty frames", .prefaultDirty, .zero, 0.95, result),
      ratio("wire dirty frames", .prefaultDirty, .populate, 1 / 3, result),
      ratio("unmap and give back, hugetlb 2 MiB", .unmap, .munmap, 1.5, result),
      Budget("verify a receipt, hugetlb 2 MiB", .seconds, 0.05, receipts),
      Budget("fork, hugetlb 2 MiB", .seconds, 0.002, try forkSeconds()),
      FaultLatencies(host: memory.host, backing: .hugetlb2M, runs: runs).budget,
      try copies(),
    ]
  }

  /// The rows of ordinary memory: transparent huge pages, shared if the host gives those, and 4 KiB
  /// pages.
  ///
  /// - Parameter progress: called before each step of wiring; may throw to end the benchmark.
  public func ordinaryMemory(
    progress: (BenchmarkStep) throws(HoldfastError) -> Void = { _ in }
  ) throws(HoldfastError) -> [Budget] {
    let modes = memory.host.transparentHugePages
    let isShared = modes.sharedMemory?.givesHugePages == true
    let isPrivate = (modes.privateMemory ?? .never) != .never
    let huge: Backing? = isShared ? .thp : isPrivate ? .thpPrivate : nil
    let transparent = "wire, transparent huge pages"
    var budgets: [Budget] = []
    if let huge {
      budgets.append(
        seconds(transparent, .prefault, 100e-6, try measure(huge, [.prefault], progress)))
    } else {
      budgets.append(
        Budget(transparent, .seconds, 100e-6, nil, problem: "the host gives none"))
    }
    let base = try measure(.base, [.prefault, .window, .continueAll], progress)
    budgets.append(seconds("wire, 4 KiB pages", .prefault, 100e-6, base))
    budgets.append(ratio("wire into a window, 4 KiB pages", .window, .continueAll, 1.5, base))
    budgets.append(
      Budget("verify a receipt, 4 KiB pages", .seconds, 0.05, try receipts(.base)))
    budgets += LeaseBudget(runs: runs).rows()
    budgets.append(FirstAccesses(host: memory.host, runs: runs).budget)
    return budgets
  }

  /// The row of QEMU, which starts on leased memory. Takes about a minute. Where that is impossible,
  /// or the guests' memory is less than 8 GiB, the row says why.
  ///
  /// The calling thread does not see the host's new mounts from then on.
  public func qemu(progress: (BenchmarkStep) -> Void = { _ in }) -> Budget {
    guard memory.size >= Self.leastForQEMU else { return Self.qemuRow(memory.size, [], [], nil) }
    let benchmark = QEMUBenchmark(memory: memory.size, runs: runs, threads: memory.threads)
    do throws(HoldfastError) {
      let result = try benchmark.run(progress: progress)
      return Self.qemuRow(memory.size, result[.prealloc], result[.leased], nil)
    } catch {
      return Self.qemuRow(memory.size, [], [], error.description)
    }
  }

  /// QEMU's own start takes as long for all sizes, so that less memory says nothing.
  private static let leastForQEMU = ByteCount.gibibytes(8)

  /// The row of QEMU from the seconds of the runs of both ways.
  static func qemuRow(
    _ size: ByteCount, _ preallocated: [Double], _ leased: [Double], _ problem: String?
  ) -> Budget {
    let isLarge = size >= leastForQEMU
    return Budget(
      "start of QEMU on leased memory", against: "prealloc=on", .times, 0.1,
      isLarge ? PairedRatio(baseline: preallocated, candidate: leased)?.median : nil,
      problem: isLarge ? problem : "is for guests of \(leastForQEMU) or more")
  }

  /// The rows of snapshots of 512 MiB, or of the guests' memory if that is less, on the memory's
  /// backing. Takes at most 40 seconds.
  ///
  /// - Parameter folder: where the files go: a folder on a disk, with room for two snapshots. They
  ///   have no name for longer than a moment. Where it cannot be used, the rows say why.
  public func snapshots(
    in folder: String, progress: (BenchmarkStep) -> Void = { _ in }
  ) -> [Budget] {
    var memory = memory
    memory.size = min(memory.size, .mebibytes(512))
    return SnapshotBudgets(memory: memory, runs: runs, folder: folder).rows(progress: progress)
  }

  private func measure(
    _ backing: Backing, _ strategies: [WireStrategy],
    _ progress: (BenchmarkStep) throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> WireBenchmark.Result {
    var memory = memory
    memory.backing = backing
    return try WireBenchmark(memory: memory, runs: runs, strategies: strategies, isWarm: true)
      .run(progress: progress)
  }

  // MARK: Rows

  private func pair(
    _ work: WireStrategy, _ floor: WireStrategy, _ result: WireBenchmark.Result
  ) -> PairedRatio? {
    PairedRatio(
      baseline: result[floor]?.seconds ?? [], candidate: result[work]?.seconds ?? [])
  }

  /// Why one of the strategies was not measured.
  private func problem(
    _ strategies: [WireStrategy], _ result: WireBenchmark.Result
  ) -> String? {
    result.measurements.first { strategies.contains($0.strategy) && $0.problem != nil }
      .flatMap { measurement in
        measurement.problem.map { "\(measurement.strategy.rawValue): \($0)" }
      }
  }

  private func ratio(
    _ name: String, _ work: WireStrategy, _ floor: WireStrategy, _ limit: Double,
    _ result: WireBenchmark.Result
  ) -> Budget {
    Budget(
      name, against: floor.rawValue, .times, limit, pair(work, floor, result)?.median,
      problem: problem([work, floor], result))
  }

  private func speed(
    _ name: String, _ work: WireStrategy, _ floor: WireStrategy, _ limit: Double,
    _ result: WireBenchmark.Result
  ) -> Budget {
    Budget(
      name, against: floor.rawValue, .speed, limit, pair(work, floor, result).map { 1 / $0.median },
      problem: problem([work, floor], result))
  }

  private func seconds(
    _ name: String, _ work: WireStrategy, _ limit: Double, _ result: WireBenchmark.Result
  ) -> Budget {
    Budget(name, .seconds, limit, result[work]?.median, problem: problem([work], result))
  }

  // MARK: Other measurements

  private func copies() throws(HoldfastError) -> Budget {
    var memory = memory
    memory.backing = .hugetlb2M
    return try CopyBudget(memory: memory, runs: runs).row()
  }

  /// The median time of the verification of a receipt.
  private func receipts(_ backing: Backing) throws(HoldfastError) -> Double? {
    var memory = memory
    memory.backing = backing
    let arena = try memory.makeArena()
    let guest = try memory.makeGuest(on: arena, for: .wiring)
    let segment = try guest.allocateSegment("ram", size: arena.size)
    let receipt = try guest.map(segment, at: .zero, options: .wired)
    return try median(of: runs) { () throws(HoldfastError) in _ = try receipt.verify() }
  }

  /// The median time of a fork. A second fork of one guest finds the translations protected already,
  /// so each is of a new guest.
  private func forkSeconds() throws(HoldfastError) -> Double? {
    var memory = memory
    memory.backing = .hugetlb2M
    let arena = try memory.makeArena()
    var seconds: [Double] = []
    for run in 0...runs {
      let time = try BudgetBenchmark.forkSeconds(on: arena, memory.host)
      if run > 0 { seconds.append(time) }
    }
    return HoldfastBench.median(seconds)
  }

  /// The time of the first fork of a guest that has all of an arena, resident.
  static func forkSeconds(
    on arena: Arena, _ host: HostCapabilities
  ) throws(HoldfastError) -> Double {
    let guest = try GuestMemory(
      arena: arena, limit: arena.size, demandPaging: DemandPaging(), host: host)
    let segment = try guest.allocateSegment("ram", size: arena.size)
    try guest.map(segment, at: .zero, options: .wired)
    try guest.unwire(AddressRange(from: .zero, to: .zero + arena.size))
    return try guest.fork().receipt.duration.seconds
  }

  private func median(
    of runs: Int, _ body: () throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> Double? {
    var seconds: [Double] = []
    for run in 0...runs {
      let start = Instant.now
      try body()
      if run > 0 { seconds.append((Instant.now - start).seconds) }
    }
    return HoldfastBench.median(seconds)
  }
}
