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
      Holdfast's ways:
        fault              page by page, frames zeroed ahead
        prefault           as holdfast wire does it, frames zeroed ahead
        window             the same into a window of the guest's own
        prefault-dirty     as prefault, all frames zeroed while it waits
        unmap              unmapping a window and freeing its frames

      The kernel's, in C on the same memory:
        touch              mmap(2) and a read a GiB, which takes over shared
                           page tables: the floor of a window on hugetlb-2M
        remap              mmap(2) and MADV_POPULATE_WRITE: the floor of a
                           window on hugetlb-1G and thp
        uffd-continue-all  one UFFDIO_CONTINUE: the floor of a window on base
        uffd-continue      one UFFDIO_CONTINUE for each page: that of fault
        zero               zeroing by all threads, in the fastest of the ways
                           that holdfast host lists: that of prefault-dirty
        munmap             munmap(2): the floor of unmap

      The kernel's, from new memory:
        populate           the backing's kind, MADV_POPULATE_WRITE, all threads
        map-populate       private memory, mmap(2) with MAP_POPULATE, one thread:
                           huge pages on hugetlb-2M, otherwise 4K pages
        mlock              private memory of 4K pages, mlock(2), one thread
        mlock-threads      the same by all threads
        mlock-thp          private transparent huge pages, mlock(2), one thread
        mlock-thp-threads  the same by all threads

      A guest in the arena's own mapping makes no system call, so prefault has no floor there. \
      Ratios are taken run by run; their median and their range are shown.

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
