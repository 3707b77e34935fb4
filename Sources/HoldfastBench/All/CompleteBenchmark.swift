public import HoldfastCore
internal import HoldfastLinux

/// Measures Holdfast, what a monitor would use instead, and the floors of both, on this host.
///
/// Each run measures everything once; the order of the parts rotates from run to run, and so does
/// that of the ways within a part. A first run does not count. QEMU and the budgets follow, which
/// have runs of their own. What the host cannot do is in the report with the reason.
public struct CompleteBenchmark: Sendable {
  /// The guests' memory; its backing does not matter.
  public var memory: BenchmarkMemory
  /// The number of counted runs.
  public var runs: Int
  /// Whether to leave out what takes long: snapshots, and QEMU with other numbers of threads.
  public var isQuick: Bool
  /// The path of `holdfast`, whose start is measured; nil if it is another program that measures.
  public var program: String?
  /// The guest that is booted and cloned in QEMU, or nil.
  public var guest: GuestImage?
  /// QEMU's accelerator.
  public var accelerator = "tcg"
  /// Ends the benchmark; the report has what was measured until then.
  public var cancellation: CancellationToken
  /// The folder for the files of snapshots, on a disk.
  public var snapshotFolder: String

  /// Creates a benchmark; the parameters are the properties.
  public init(
    memory: BenchmarkMemory, runs: Int, isQuick: Bool, program: String?, snapshotFolder: String,
    cancellation: CancellationToken = CancellationToken()
  ) {
    self.memory = memory
    self.runs = runs
    self.isQuick = isQuick
    self.program = program
    self.snapshotFolder = snapshotFolder
    self.cancellation = cancellation
  }

  /// Measures.
  ///
  /// - Parameter progress: called before each step.
  public func run(progress: (BenchmarkStep) -> Void = { _ in }) -> CompleteReport {
    let start = Instant.now
    var report = CompleteReport(
      memory: memory.size, runs: runs, threads: memory.threads, isQuick: isQuick,
      host: memory.host)
    do throws(HoldfastError) {
      try measure(&report, progress)
    } catch {
      report.isComplete = false
      report.reason = error.code == .cancelled ? "it was interrupted" : error.description
    }
    report.seconds = (Instant.now - start).seconds
    return report
  }

  /// Throws at a request to end.
  func check() throws(HoldfastError) {
    guard cancellation.isCancelled else { return }
    throw HoldfastError(.cancelled, operation: "measure", reason: "it was cancelled")
  }

  private func measure(
    _ report: inout CompleteReport, _ progress: (BenchmarkStep) -> Void
  ) throws(HoldfastError) {
    let faults = FaultGroup(memory.host)
    let program = ProgramGroup(program: program)
    let groups: [any BenchmarkGroup] = wireGroups() + [forks(), faults, program]
    defer {
      report.ways = groups.flatMap(\.ways) + report.ways
      report.latencies = faults.latencies
      report.programPeak = program.peak
    }
    // What follows the runs counts as one part of each.
    let count = (runs + 1) * (groups.count + 1)
    for run in 0...runs {
      for part in groups.indices {
        let group = groups[(part + run) % groups.count]
        guard !group.hasFailed else { continue }
        let times = ProcessorTimes.now
        try group.measure(run: run, condition: report.conditions.count) {
          (name) throws(HoldfastError) in
          try check()
          progress(
            BenchmarkStep(
              run: run, name: name, number: run * groups.count + part, count: count))
        }
        if let times, let now = ProcessorTimes.now {
          report.conditions.append(
            now.conditions(since: times, part: group.name, run: run, load: ProcessorTimes.load))
        }
      }
    }
    try measureRest(&report) { (name, part) throws(HoldfastError) in
      try check()
      let number = min(count - 1, (runs + 1) * groups.count + part)
      progress(BenchmarkStep(run: runs, name: name, number: number, count: count))
    }
  }

  // MARK: Parts

  /// The backings that the host has room for, each with its reason otherwise in the report.
  private func wireGroups() -> [WireGroup] {
    var groups = Backing.allCases.map { backing in
      var memory = memory
      memory.backing = backing
      return WireGroup(.wire, memory, strategies(backing))
    }
    let best = bestBacking
    for size in sizes {
      var memory = memory
      memory.size = size
      memory.backing = best
      groups.append(WireGroup(.size, memory, [.prefault, .prefaultDirty, .populate]))
      if best != .base {
        memory.backing = .base
        groups.append(WireGroup(.size, memory, [.populate, .mlock]))
      }
    }
    for threads in threadCounts {
      var memory = memory
      memory.threads = threads
      memory.backing = best
      groups.append(WireGroup(.threads, memory, [.prefaultDirty, .populate, .zero]))
      if best != .base {
        memory.backing = .base
        groups.append(WireGroup(.threads, memory, [.populate]))
      }
    }
    return groups
  }

  private func strategies(_ backing: Backing) -> [WireStrategy] {
    switch backing {
    case .hugetlb2M:
      [
        .prefault, .fault, .window, .prefaultDirty, .touch, .uffdContinue, .zero, .populate,
        .mapPopulate,
      ]
    case .hugetlb1G: [.prefault, .prefaultDirty, .remap, .zero, .populate]
    case .thp: [.prefault, .window, .prefaultDirty, .remap, .zero, .populate]
    case .thpPrivate: [.prefault, .prefaultDirty, .zero, .populate, .mlockHuge, .mlockHugeThreads]
    case .base:
      [
        .prefault, .window, .prefaultDirty, .continueAll, .zero, .populate, .mapPopulate, .mlock,
        .mlockThreads,
      ]
    }
  }

  /// The backing that Holdfast would choose for wiring.
  private var bestBacking: Backing {
    let host = memory.host
    let hasPool = host.hugePages.contains {
      $0.size == .mebibytes(2) && $0.availableBytes >= memory.size
    }
    if hasPool { return .hugetlb2M }
    return (host.transparentHugePages.privateMemory ?? .never) != .never ? .thpPrivate : .base
  }

  /// From 256 MiB, or a smaller size, in doublings up to the whole.
  var sizes: [ByteCount] {
    var sizes: [ByteCount] = []
    var size = min(ByteCount.mebibytes(256), memory.size)
    while size < memory.size, sizes.count < 16 {
      sizes.append(size)
      size = ByteCount(size.rawValue * 2)
    }
    return sizes + [memory.size]
  }

  /// 1, 2, 4 and so on, and all.
  var threadCounts: [Int] {
    var counts: [Int] = []
    var count = 1
    while count < memory.threads, counts.count < 12 {
      counts.append(count)
      count *= 2
    }
    return counts + [max(1, memory.threads)]
  }

  private func forks() -> ForkGroup {
    ForkGroup(memory, backings: bestBacking == .hugetlb2M ? [.hugetlb2M, .base] : [.base])
  }

  /// What has runs of its own: clones, budgets, QEMU, and guests that boot in it.
  private func measureRest(
    _ report: inout CompleteReport,
    _ step: (String, Int) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    try step("clones", 0)
    let backings: [Backing] = bestBacking == .hugetlb2M ? [.hugetlb2M, .base] : [.base]
    report.clones = backings.map { CloneMemory.measure(memory, $0) }
    let benchmark = BudgetBenchmark(memory: memory, runs: runs)
    try step("budgets of huge pages", 1)
    do throws(HoldfastError) {
      report.budgets += try benchmark.hugePages { (_) throws(HoldfastError) in try check() }
    } catch {
      guard error.code != .cancelled else { throw error }
      report.missing.append(.init("budgets of huge pages", error.description))
    }
    if isQuick {
      report.missing.append(.init("budgets of snapshots", "are left out by --quick"))
    } else {
      try step("budgets of snapshots", 2)
      report.budgets += benchmark.snapshots(in: snapshotFolder)
    }
    try step("budgets of ordinary memory", 3)
    do throws(HoldfastError) {
      report.budgets += try benchmark.ordinaryMemory { (_) throws(HoldfastError) in try check() }
    } catch {
      guard error.code != .cancelled else { throw error }
      report.missing.append(.init("budgets of ordinary memory", error.description))
    }
    try step("budgets of the layer", 4)
    report.budgets += try benchmark.layer()
    // The last parts, since this thread does not see the host's new mounts after them.
    for threads in isQuick ? [memory.threads] : threadCounts {
      try step("QEMU, \(counted(threads, "thread"))", 5)
      try measureQEMU(threads, &report)
    }
    // Those of all threads, which were measured last.
    let ways = report.ways.suffix(2)
    report.budgets.append(
      BudgetBenchmark.qemuRow(
        memory.size, ways.first?.seconds ?? [], ways.last?.seconds ?? [], ways.last?.problem))
    try step("boot and clone", 6)
    try measureBoot(&report)
  }

  private func measureQEMU(
    _ threads: Int, _ report: inout CompleteReport
  ) throws(HoldfastError) {
    let size = memory.size
    func way(_ part: String, _ name: String, _ kind: MeasuredWay.Kind) -> MeasuredWay {
      MeasuredWay(
        .qemu, part, name, kind, backing: Backing.hugetlb2M.rawValue, memory: size,
        threads: threads)
    }
    var ways = [
      way("prealloc", "QEMU, prealloc=on", .program),
      way("leased", "QEMU on leased memory", .holdfast),
    ]
    let times = ProcessorTimes.now
    do throws(HoldfastError) {
      let result = try QEMUBenchmark(
        memory: size, runs: runs, threads: threads, accelerator: accelerator
      ).run {
        (_) throws(HoldfastError) in try check()
      }
      let condition = report.conditions.count
      for (index, part) in [QEMUBenchmark.Part.prealloc, .leased].enumerated() {
        ways[index].seconds = result[part]
        ways[index].conditions = Array(repeating: condition, count: result[part].count)
      }
    } catch {
      guard error.code != .cancelled else { throw error }
      for index in ways.indices { ways[index].fail(error.description) }
    }
    if let times, let now = ProcessorTimes.now {
      report.conditions.append(
        now.conditions(since: times, part: "QEMU", run: runs, load: ProcessorTimes.load))
    }
    report.ways += ways
  }
}
