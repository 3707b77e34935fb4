internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench wire`.
struct BenchWireCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wire",
    abstract: "Time Holdfast's ways to wire memory, the kernel's own, and the floors of both.",
    usage: "holdfast bench wire [--memory <size>] [--runs <count>] [<options>]",
    discussion: """
      Strategies:
        fault           Holdfast, page by page, frames zeroed ahead
        prefault        Holdfast, by superpages, frames zeroed ahead
        prefault-dirty  Holdfast, by superpages, all frames to be zeroed first
        memset          memset(3) on all threads of memory already there and mapped:
                        the floor of prefault-dirty
        mlock           fresh anonymous memory of 4K pages, mlock(2)
        populate        fresh memory of the backing's kind, MADV_POPULATE_WRITE
        remap           mmap(2) and MADV_POPULATE_WRITE of memory already there:
                        the floor of prefault
        uffd-continue   one UFFDIO_CONTINUE a page of memory already there:
                        the floor of fault

      Each run prepares the memory, measures every strategy once, in an order that moves on from run \
      to run, and gives it back; a first run is not counted. The preparation's own time is shown \
      beside. prefault and fault are compared as ministat(1) does, in milliseconds.
      """)

  @OptionGroup var options: MemoryOptions

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Runs that count, 1 to 1000; ministat's statistics need 3. (default: 10)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1000) })
  var runs = 10

  @Option(
    help: ArgumentHelp(
      "The strategies to measure, with commas between. (default: all)", valueName: "list"),
    transform: BenchWireCommand.strategies)
  var strategies = WireStrategy.allCases

  @OptionGroup var output: FormatOptions

  /// Reads `fault,prefault`; a strategy that is named twice is measured once.
  private static func strategies(_ text: String) throws -> [WireStrategy] {
    var strategies: [WireStrategy] = []
    for name in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let strategy = WireStrategy(rawValue: String(name)) else {
        throw Size.Problem(
          description: "'\(name)' is none of "
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
        memory: plan.memory, runs: runs, strategies: strategies, backing: plan.backing,
        nodes: plan.nodes, guestPolicy: options.guestPolicy,
        threads: options.threads ?? host.parallelism, host: host)
      progress.begin("measuring")
      return try benchmark.run { step in
        progress.update(.steps(done: step.number, total: step.count, name: name(of: step)))
      }
    }
    let report = WireBenchmarkReport(result)
    switch output.format {
    case .text: try Output.write(report.text)
    case .json: try Output.write(json(report))
    }
  }

  /// `warm-up, mlock`: the same width in every step, so that the bar beside it does not jump.
  private func name(of step: WireBenchmark.Step) -> String {
    let run = step.run == 0 ? "warm-up" : "run \(step.run) of \(runs)"
    let text = run + ", " + (step.strategy?.rawValue ?? "arena")
    let longest = strategies.map(\.rawValue.count).max() ?? 0
    let width = "run \(runs) of \(runs), ".count + max(longest, "arena".count)
    return text + String(repeating: " ", count: max(0, width - text.count))
  }
}
