internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench scrub`.
struct BenchScrubCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scrub",
    abstract: "Time wiring before and after a guest writes to all memory, with a scrubber.",
    usage: "holdfast bench scrub [--memory <size>] [<options>]",
    discussion: """
      Prepares the memory and a scrubber with idle priority, wires a guest's memory, writes to \
      every byte of it, frees it, waits until the scrubber has zeroed all free memory, and wires \
      again. Shows the time of each step, how many bytes each wiring found zeroed, and how many it \
      zeroed itself. Finally reads all memory of the second guest, which must be zero.

      With HOLDFAST_CHECK_ZEROED=1 in the environment, this and all other commands read and check \
      the memory that they free or allocate as zeroed, which is slow.
      """)

  @OptionGroup var options: MemoryOptions

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that scrub in the background, 1 to 1024. (default: 1)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var scrubThreads = 1

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The maximum to scrub in a second, as a size. (default: no limit)", valueName: "size"),
    transform: { try Size($0) })
  var rate: Size?

  @OptionGroup var output: FormatOptions

  func run() throws {
    let plan = try options.plan()
    Output.note(on: rate)
    let progress = ProgressBar()
    let result = try plan.perform(cleaning: progress) { host in
      let benchmark = ScrubBenchmark(
        memory: options.benchmarkMemory(plan, host),
        scrubbing: Scrubber.Options(threads: scrubThreads, rate: rate?.bytes))
      return try benchmark.run { progress.begin($0.rawValue) }
    }
    let report = ScrubBenchmarkReport(result)
    try output.write(report, text: report.text)
    guard result.isZero else {
      throw CLIError(
        "memory that was allocated as zeroed is not zero; try: HOLDFAST_CHECK_ZEROED=1, and report "
          + "this with the output of `holdfast host`")
    }
  }
}
