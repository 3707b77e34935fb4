internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastReservoir

/// `holdfast reservoir fill`.
struct ReservoirFillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fill",
    abstract: "Populate memory until the planned amount is ready.",
    usage: "holdfast reservoir fill <plan> ... [<options>]",
    discussion: """
      A plan is a level to reach: after 4x10G 8x4G, four files of 10 GiB and eight of 4 GiB are \
      ready, including files that were ready before. An interrupted fill therefore continues when \
      you repeat the command. With --add the plan is added to what is ready.

      If memory is short, the command fails before it populates any, and reports the pages needed \
      and free. Files that are ready stay ready when a fill fails or is stopped. After kill -9, \
      the next fill or gc removes the unfinished file.
      """)

  @Argument(
    help: ArgumentHelp("The number and size of files, such as 4x10G.", valueName: "plan"),
    transform: { try FillPlan.Part(typed: $0) })
  var plan: [FillPlan.Part]

  @Flag(help: "Add the plan to what is ready.")
  var add = false

  @OptionGroup var work: ThreadsOption

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Allocate from this NUMA node, 0 to 1023, and count only files of that node. (default: any)",
      valueName: "node"),
    transform: { try nodeID($0) })
  var hostNumaNode: NodeID?

  @Flag(
    help: ArgumentHelp(
      "Enlarge the pool of huge pages by what is missing, file by file. Needs root. The pages stay "
        + "in the pool; to shrink it again, drain the reservoir and lower nr_hugepages."))
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
        options: FillOptions(threads: work.threads, reservesHugePages: reserveHugepages),
        cancellation: stop.cancellation
      ) {
        if $0.total > .zero { progress.update(.bytes(done: $0.done, total: $0.total)) }
      }
    }
    progress.finish()
    try output.write(report, text: "\(report)\n")
  }
}

/// Cancels work from the thread that waits for signals, and lets it wait for the work's end.
final class StopRequest: Sendable {
  private let lock = Lock()
  /// The token of the work.
  let cancellation = CancellationToken()

  /// Requests the stop and returns when the work has ended.
  func request() {
    cancellation.cancel()
    lock.withLock {}
  }

  /// Does the work that a request stops.
  func during<Result>(_ body: () throws -> Result) rethrows -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body()
  }
}
