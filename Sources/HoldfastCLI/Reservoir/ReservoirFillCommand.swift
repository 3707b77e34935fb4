internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastReservoir

/// `holdfast reservoir fill`.
struct ReservoirFillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fill",
    abstract: "Bring memory in until so much is ready.",
    usage: "holdfast reservoir fill <plan> ... [<options>]",
    discussion: """
      A plan is a level to reach: 4x10G 8x4G means that four files of 10 GiB and eight of 4 GiB are \
      ready afterwards, those counted that are ready already. So a fill that was cut short goes on \
      when it is asked for again. With --add the plan comes on top.

      Shortage is an error before anything is brought in, with the pages needed and free. What is \
      ready stays ready when a fill fails or is stopped; after kill -9 the next fill or gc takes \
      the unfinished file away.
      """)

  @Argument(
    help: ArgumentHelp("How many files of which size, such as 4x10G.", valueName: "plan"),
    transform: { try FillPlan.Part(typed: $0) })
  var plan: [FillPlan.Part]

  @Flag(help: "Fill the plan on top of what is ready.")
  var add = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that bring memory in, 1 to 1024. (default: one for each processor that may be used)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var threads: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The NUMA node that the memory comes from, from 0 to 1023; only files of that node count. "
        + "(default: any)",
      valueName: "node"),
    transform: { NodeID(UInt32(try wholeNumber($0, in: 0...1023))) })
  var hostNumaNode: NodeID?

  @Flag(
    help: ArgumentHelp(
      "Raise the pool of huge pages by what is missing, file by file. Needs root. The pages stay in "
        + "the pool: to lower it again, drain and set nr_hugepages."))
  var reserveHugepages = false

  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    let reservoir = try place.reservoir()
    let progress = ProgressBar()
    let stop = StopRequest()
    Signals.watch {
      stop.request()
      progress.finish()
    }
    progress.start()
    defer { progress.finish() }
    progress.begin("filling")
    let report = try stop.during {
      try reservoir.fill(
        FillPlan(plan, node: hostNumaNode, isAddition: add),
        options: FillOptions(threads: threads, reservesHugePages: reserveHugepages),
        cancellation: stop.cancellation
      ) {
        if $0.total > .zero { progress.update(.bytes(done: $0.done, total: $0.total)) }
      }
    }
    progress.finish()
    switch output.format {
    case .text: try Output.write("\(report)\n")
    case .json: try Output.write(json(report))
    }
  }
}

/// Cancels work from the thread that waits for signals, and lets it wait for the work's end.
final class StopRequest: Sendable {
  private let lock = Lock()
  /// The token of the work.
  let cancellation = CancellationToken()

  /// Returns when the work is over.
  func request() {
    cancellation.cancel()
    lock.withLock {}
  }

  /// Does the work.
  func during<Result>(_ body: () throws -> Result) rethrows -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body()
  }
}
