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
      return try benchmark.hugePages(progress: update)
        + benchmark.ordinaryMemory(progress: update) + benchmark.layer()
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
