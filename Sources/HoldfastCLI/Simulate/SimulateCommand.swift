internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastSimulation

/// `holdfast simulate`.
struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Simulate guests that come and go on a host of any size.",
    usage: """
      holdfast simulate [--memory <size>] [--guests <count>] [<options>]
      holdfast simulate --fleet <hosts> [--level <count>x<size>] [<options>]
      """,
    discussion: """
      The allocator, objects and address spaces are the real ones, with page sizes 4K, 2M and 1G; \
      only the bytes of the memory and the page tables are missing. Any machine can therefore \
      simulate a host of 16T. Guests that are larger than the free memory are refused and counted. \
      Everything except the times is the same for the same options and seed.

      Guests are wired as a whole when they start, except for the shares of --paged and --forks. \
      Those guests write to a few pages at each of many places, in four rounds over their life, \
      which fragments the memory.

      Arrivals:
        steady  one by one at a steady rate, with --guests guests at the start
        bursts  in deployments of 16 guests on average, all of one size, that
                arrive within about a minute and leave together
        trace   as in the file of --trace

      A trace has the format of vmtable.csv of the Azure Public Dataset V2, as it is downloaded \
      (.csv.gz) or not compressed: in each line, separated by commas:
        vmid, subscriptionid, deploymentid   any text
        vmcreated, vmdeleted                 seconds since the trace began
        maxcpu, avgcpu, p95maxcpu            percent; not used
        vmcategory                           any text; not used
        vmcorecountbucket                    cores: 2, 4, ... or >24; not used
        vmmemorybucket                       GB: 2, 4, ... or >64, taken as 70

      With a header line that names the columns, their order does not matter, and only vmcreated, \
      vmdeleted and vmmemorybucket are required. Quotes, semicolons or tabs, 300.0 for 300, and \
      UTF-16 are read as well, as spreadsheets write them.

      With --fleet, guests are placed on that many hosts of --memory each, whose reservoirs keep \
      --level ready. A guest starts at once on a NUMA node with a ready file for it, otherwise \
      after its memory was populated, and is refused where no node has the memory. All guests are \
      wired, and 50 for each host run at once unless --guests says otherwise.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The host's memory with K, M, G or T, 1M to 1024T. (default: 16T; of each host of a fleet "
        + "1T)", valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The average number of guests that run at once. Larger traces are randomly sampled. "
        + "(default: 1000, or all of the trace)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1_000_000) })
  var guests: Int?

  @Option(
    help: ArgumentHelp(
      "The pattern of arrivals. (default: steady, or trace with --trace)", valueName: "how"))
  var arrivals: ArrivalsOption?

  @Option(
    help: ArgumentHelp(
      "The file with the trace of guests, CSV or compressed with gzip.", valueName: "file"))
  var trace: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The simulated time with s, m, h or d. (default: 2d, or the length of the trace)",
      valueName: "time"
    ),
    transform: { try TimeSpan($0) })
  var duration: TimeSpan?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The mean of the guests' exponential lifetimes. (default: 12h)", valueName: "time"),
    transform: { try TimeSpan($0) })
  var lifetime: TimeSpan?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The guests' sizes with weights, such as 2G:30,8G:50,3.5G:20. (default: from an eighth to "
        + "four times the memory divided by the guests, which uses nine tenths of the memory)",
      valueName: "list"),
    transform: { try SizeMix(argument: $0) })
  var sizes: SizeMix?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Percent of the guests that are forks of a running guest of the same size, if one runs. "
        + "(default: 10)",
      valueName: "percent"),
    transform: { try Percentage($0) })
  var forks: Percentage?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Percent of the guests that are not wired but paged on demand. (default: 15)",
      valueName: "percent"),
    transform: { try Percentage($0) })
  var paged: Percentage?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Percent of their memory that paged guests and forks write to. (default: 0.05)",
      valueName: "percent"),
    transform: { try Percentage($0) })
  var dirty: Percentage?

  @Option(
    help: ArgumentHelp(
      "The largest blocks of memory that are wired at once: gib, superpage (2M), or both, which "
        + "repeats the run with superpage and shows what the blocks of 1G cost other guests.",
      valueName: "blocks"))
  var blocks = BlocksOption.gib

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Bytes of free memory that are zeroed in the background in each simulated second, or 0. "
        + "(default: 1G)",
      valueName: "size"),
    transform: { try HoldfastCLI.scrubRate($0) })
  var scrubRate: ByteCount?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Random seed, a whole number. (default: 1)", valueName: "number"),
    transform: { try wholeNumber($0, in: 0...Int.max) })
  var seed = 1

  @Option(
    help: ArgumentHelp(
      "Write an SVG drawing of used memory, fragmentation and page sizes over the simulated time.",
      valueName: "file"))
  var plot: String?

  @OptionGroup var fleet: FleetArguments

  @OptionGroup var output: FormatOptions

  /// The most guests of a run: each costs some time and memory.
  private static let mostArrivals = 20_000_000.0

  /// The most page faults of a run, which take some ten minutes.
  static let mostFaults: UInt64 = 1_000_000_000

  func validate() throws {
    try fleet.check(
      others: [
        (forks != nil, "--forks"), (paged != nil, "--paged"), (dirty != nil, "--dirty"),
        (blocks != .gib, "--blocks"), (scrubRate != nil, "--scrub-rate"), (plot != nil, "--plot"),
      ], memory: hostMemory)
    let options = options
    if arrivals == .trace, trace == nil {
      throw ValidationError("'--arrivals trace' requires '--trace <file>'")
    }
    if let arrivals, arrivals != .trace, trace != nil {
      throw ValidationError(
        "'--trace' cannot be combined with '--arrivals \(arrivals.rawValue)', use '--arrivals "
          + "trace'")
    }
    if options.pattern == .trace, sizes != nil || lifetime != nil {
      throw ValidationError(
        "'--\(sizes == nil ? "lifetime" : "sizes")' cannot be combined with a trace, which has "
          + "its own")
    }
    guard options.memory.isMultiple(of: .kibibytes(4)) else {
      throw ValidationError(
        "'--memory' of \(options.memory) is not a multiple of the page size 4 KiB")
    }
    guard hostMemory >= .mebibytes(1), hostMemory <= .tebibytes(1024) else {
      throw ValidationError(
        "'--memory' of \(hostMemory) is "
          + (hostMemory < .mebibytes(1) ? "too small" : "too large")
          + ", use a size from 1 MiB to 1024 TiB")
    }
    // The defaults are those of `SimulationOptions`. The sum is exact, which one of shares is not.
    let percent = (forks?.percent ?? DecimalNumber(10)) + (paged?.percent ?? DecimalNumber(15))
    guard percent <= Percentage.all else {
      throw ValidationError(
        "'--forks' and '--paged' add up to more than 100 percent, use smaller ones")
    }
    guard let guests = options.guests, let duration = options.duration, options.pattern != .trace
    else { return }
    let lifetimes = duration.seconds / options.lifetime.seconds
    guard Double(guests) * (1 + lifetimes) <= SimulateCommand.mostArrivals else {
      throw ValidationError(
        "the simulation would have over 20,000,000 guests, use fewer '--guests', a shorter "
          + "'--duration' or a longer '--lifetime'")
    }
  }

  /// The memory of the host, or of each host of a fleet.
  private var hostMemory: ByteCount {
    memory?.bytes ?? (fleet.fleet == nil ? .tebibytes(16) : .tebibytes(1))
  }

  /// The arguments, except for the contents of the trace.
  var options: SimulationOptions {
    let pattern = arrivals?.pattern ?? (trace == nil ? .steady : .trace)
    let hosts = fleet.fleet
    let usual = hosts.map { min(50 * $0, 1_000_000) } ?? 1000
    var options = SimulationOptions(
      memory: ByteCount(hostMemory.rawValue.saturatingProduct(UInt64(hosts ?? 1))),
      guests: guests ?? (pattern == .trace ? nil : usual), pattern: pattern)
    if let duration { options.duration = duration.duration }
    if let lifetime { options.lifetime = lifetime.duration }
    if let sizes { options.sizes = sizes }
    if let forks { options.forkShare = forks.share }
    if let paged { options.pagedShare = paged.share }
    if let dirty { options.dirtyShare = dirty.share }
    options.blocks = blocks.blocks
    if let scrubRate { options.scrubRate = scrubRate }
    options.seed = UInt64(seed)
    return options
  }

  func run() throws {
    Output.note(on: memory)
    if let hosts = fleet.fleet { return try run(hosts: hosts, memory: hostMemory) }
    let plot = plot.map { OutputFile(path: $0, what: "plot", advice: "another --plot") }
    try plot?.check()
    let (result, comparison) = try simulate()
    try plot?.write(SimulationPlot(result).svg)
    let report = SimulateResult(result, comparison, trace: trace)
    try output.write(report, text: report.text)
    for run in [result] + (comparison.map { [$0.without] } ?? []) where !run.isAllFree {
      throw CLIError(
        "frames were lost: after all guests had left, \(run.figures.freeAtEnd) of "
          + "\(run.options.memory) are free; try: report this with the command line")
    }
  }
}
