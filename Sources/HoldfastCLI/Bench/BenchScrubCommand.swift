internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench scrub`.
struct BenchScrubCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scrub",
    abstract: "Wire twice, with a guest between that wrote to all memory, and a scrubber after it.",
    usage: "holdfast bench scrub [--memory <size>] [<options>]",
    discussion: """
      Prepares the memory and a scrubber of idle priority, wires a guest's memory, writes to every \
      byte of it, gives it back, waits until the scrubber has zeroed all that is free, and wires \
      again. Shows how long each took, and how much either wiring found zeroed ahead and how much it \
      had to zero itself. All of the second guest's memory is read at the end: it must be zero.

      HOLDFAST_CHECK_ZEROED=1 in the environment has all memory that is freed or handed out as \
      zeroed read and checked, in this and other commands, which is slow.
      """)

  @OptionGroup var options: MemoryOptions

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Threads that scrub, 1 to 1024. (default: 1)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var scrubThreads = 1

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The most to scrub in a second, as a size. (default: no limit)", valueName: "size"),
    transform: { try Size($0) })
  var rate: Size?

  @OptionGroup var output: FormatOptions

  func run() throws {
    let plan = try options.plan()
    if let note = rate?.note { Output.note(note) }
    let progress = ProgressBar()
    let result = try plan.perform(cleaning: progress) { host in
      let benchmark = ScrubBenchmark(
        memory: plan.memory, backing: plan.backing, threads: options.threads ?? host.parallelism,
        scrubbing: Scrubber.Options(threads: scrubThreads, rate: rate?.bytes),
        nodes: plan.nodes, guestPolicy: options.guestPolicy, host: host)
      return try benchmark.run { progress.begin($0.rawValue) }
    }
    let report = ScrubBenchmarkReport(result)
    switch output.format {
    case .text: try Output.write(report.text)
    case .json: try Output.write(json(report))
    }
    guard result.isZero else {
      throw CLIError(
        "memory that was handed out as zeroed is not zero; try: HOLDFAST_CHECK_ZEROED=1, and report "
          + "this with the output of `holdfast host`")
    }
  }
}
