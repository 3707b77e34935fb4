internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench wire`.
struct BenchWireCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wire",
    abstract: "Time Holdfast's and the kernel's ways to wire memory, and the floors of both.",
    usage: "holdfast bench wire [--memory <size>] [--runs <count>] [<options>]",
    discussion: """
      Strategies:
        fault           Holdfast, page by page, frames zeroed ahead
        prefault        Holdfast, by superpages, frames zeroed ahead
        prefault-dirty  Holdfast, by superpages, all frames zeroed while it waits
        memset          memset(3) by all threads on resident, mapped memory:
                        the floor of prefault-dirty
        mlock           new anonymous memory of 4K pages, mlock(2)
        populate        new memory of the backing's kind, MADV_POPULATE_WRITE
        remap           mmap(2) and MADV_POPULATE_WRITE of resident memory:
                        the floor of prefault
        uffd-continue   one UFFDIO_CONTINUE for each resident page:
                        the floor of fault

      Each run prepares the memory, measures every strategy once, in an order that rotates from \
      run to run, and frees the memory. A first run is a warm-up that does not count. The time of \
      the preparation is shown separately. prefault and fault are compared as ministat(1) compares \
      samples, in milliseconds.
      """)

  @OptionGroup var options: MemoryOptions

  @OptionGroup var count: RunsOption

  @Option(
    help: ArgumentHelp(
      "The strategies to measure, separated by commas. (default: all)", valueName: "list"),
    transform: BenchWireCommand.strategies)
  var strategies = WireStrategy.allCases

  @OptionGroup var output: FormatOptions

  /// Reads `fault,prefault`; a strategy that is named twice is measured once.
  private static func strategies(_ text: String) throws -> [WireStrategy] {
    var strategies: [WireStrategy] = []
    for name in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let strategy = WireStrategy(rawValue: String(name)) else {
        throw Size.Problem(
          description: "'\(name)' is not a strategy, use some of "
            + WireStrategy.allCases.map(\.rawValue).joined(separator: ", "))
      }
      if !strategies.contains(strategy) { strategies.append(strategy) }
    }
    return strategies
  }

  func run() throws {
    let plan = try options.plan()
    let progress = ProgressBar()
    let result = try plan.perform(cleaning: progress) { host in
      let benchmark = WireBenchmark(
        memory: options.benchmarkMemory(plan, host), runs: count.runs, strategies: strategies)
      progress.begin("measuring")
      return try benchmark.run {
        progress.update(.step($0, of: count.runs, names: strategies.map(\.rawValue)))
      }
    }
    let report = WireBenchmarkReport(result)
    try output.write(report, text: report.text)
  }
}
