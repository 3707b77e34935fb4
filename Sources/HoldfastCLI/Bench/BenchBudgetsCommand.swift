internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench budgets`.
struct BenchBudgetsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "budgets",
    abstract: "Measure what Holdfast's work costs against what it may cost.",
    usage: "holdfast bench budgets [--memory <size>] [--runs <count>] [<options>]",
    discussion: """
      Each row has a budget: a time, or a ratio to what the kernel takes for the same work, \
      measured in C in the same runs. The rows of huge pages need 2 MiB pages for the memory, \
      which --reserve-hugepages borrows. Times are medians, ratios are medians of the runs' \
      ratios; each measurement of wiring follows one of a single page. Measure on an idle host.

      Snapshots of 512 MiB are measured against what dd does: it writes as much, with or without \
      the page cache, whichever is faster, and reads as much past it, one MiB at a time. Faults \
      are measured against pread. The files need 1.1 GiB on a disk, and are gone at the end.

      QEMU starts on leased memory of 8 GiB or more, if it is installed. Only root can measure \
      that.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      """
      The guests' memory, a multiple of 1G. (default: 10G, or half of the available memory if that \
      is less)
      """, valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The number of counted runs, 1 to 1000. (default: 5)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1000) })
  var runs = 5

  @OptionGroup var pool: HugePageOption
  @OptionGroup var work: ThreadsOption

  /// The parts of the table.
  enum Part: String, CaseIterable, ExpressibleByArgument {
    case hugePages = "huge-pages"
    case snapshots
    case memory
    case layer
    case qemu
  }

  @Option(
    help: ArgumentHelp(
      "Measure one part alone; repeat it for several. (default: all)",
      valueName: "part"))
  var only: [Part] = []

  @Option(
    help: ArgumentHelp(
      "The folder for the files of snapshots, on a disk. (default: $TMPDIR or /var/tmp)",
      valueName: "path"))
  var snapshotFolder: String?

  @Flag(help: "End with status 1 if a ratio is over twice its budget.")
  var check = false

  @OptionGroup var output: FormatOptions

  /// The size that was asked for, or what the host can hold: a fixed share of the time of a wire is
  /// the same for all sizes, so that small ones tell less.
  private func size(_ host: HostCapabilities) -> ByteCount {
    if let memory { return memory.bytes }
    let half = host.availableForGuests.rawValue / 2
    let gibibyte = ByteCount.gibibytes(1).rawValue
    return ByteCount(min(10, max(1, half / gibibyte)) * gibibyte)
  }

  func validate() throws {
    guard memory?.bytes.isMultiple(of: .gibibytes(1)) ?? true else {
      throw ValidationError("'--memory' of \(memory?.bytes ?? .zero) is not a multiple of 1 GiB")
    }
    if snapshotFolder?.isEmpty == true {
      throw ValidationError("the path for '--snapshot-folder' is empty")
    }
  }

  func run() throws {
    Output.note(on: memory)
    _ = try ZeroingChoice.environment()
    let host = HostProbe().host()
    let size = size(host)
    let plan = try WirePlan(
      host, memory: size, backing: .hugetlb2M, reserve: pool.reserveHugepages)
    let threads = work.threads ?? host.parallelism
    let progress = ProgressBar()
    let budgets = try plan.perform(cleaning: progress) { host in
      let benchmark = BudgetBenchmark(
        memory: BenchmarkMemory(size: size, backing: nil, threads: threads, host: host),
        runs: runs)
      progress.begin("measuring")
      func update(_ step: BenchmarkStep) {
        progress.update(.step(step, of: runs, names: WireStrategy.allCases.map(\.rawValue)))
      }
      return try Part.allCases.filter { only.isEmpty || only.contains($0) }.flatMap { part in
        switch part {
        case .hugePages: try benchmark.hugePages(progress: update)
        case .snapshots:
          benchmark.snapshots(in: snapshotFolder ?? TemporaryFolder.path, progress: update)
        case .memory: try benchmark.ordinaryMemory(progress: update)
        case .layer: try benchmark.layer()
        // The last part, since this thread does not see the host's new mounts after it.
        case .qemu: [benchmark.qemu(progress: update)]
        }
      }
    }
    let report = BudgetReport(
      memory: size, runs: runs, threads: threads, processor: host.processors.model,
      budgets: budgets)
    try output.write(report, text: report.text)
    let missed = report.farMissed
    if check, !missed.isEmpty {
      throw CLIError(
        "over twice the budget: " + missed.map(\.work).joined(separator: ", ")
          + "; try: the command again on an idle host")
    }
  }
}
