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

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "Memory to wire in each run, with K, M, G or T (powers of two). A number alone is in bytes, "
        + "not in MiB as QEMU has it. mlock takes as much again of ordinary memory. (default: 10G "
        + "or half of what is available, whichever is less)",
      valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

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

  @Option(
    help: ArgumentHelp(
      "What the memory is made of: hugetlb-1G, hugetlb-2M, thp, base, or auto for the first of "
        + "these that has room.",
      valueName: "backing"))
  var backing = BackingOption.auto

  @Flag(
    help: ArgumentHelp(
      "Raise the pool of huge pages by as many as are missing, and lower it again by exactly that "
        + "at the end, also after a failure or a signal. Needs root."))
  var reserveHugepages = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that bring in and zero memory, 1 to 1024. (default: one for each processor that "
        + "may be used)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var threads: Int?

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

  func validate() throws {
    try WirePlan.validate(memory: memory?.bytes, backing: backing, reserve: reserveHugepages)
  }

  func run() throws {
    if let note = memory?.note { Output.note(note) }
    let plan = try WirePlan(
      HostProbe().host(), memory: memory?.bytes, backing: backing, reserve: reserveHugepages)
    let progress = ProgressBar()
    let result = try plan.perform(cleaning: progress) { host in
      let benchmark = WireBenchmark(
        memory: plan.memory, runs: runs, strategies: strategies, backing: plan.backing,
        threads: threads ?? host.parallelism, host: host)
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
