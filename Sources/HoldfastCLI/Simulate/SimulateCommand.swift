internal import ArgumentParser
internal import Dispatch
internal import HoldfastCore
internal import HoldfastSimulation

/// `holdfast simulate`.
struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Let guests come to and go from a host of any size, in simulated time.",
    usage: "holdfast simulate [--memory <size>] [--guests <count>] [<options>]",
    discussion: """
      The allocator, objects and address spaces are the real ones, on page sizes 4K, 2M and 1G; \
      only the bytes of the memory and the page tables are missing. So a host of 16T is simulated \
      on any machine. Guests that are larger than the free memory are refused and counted. \
      Everything but the times is the same for the same options and seed.

      Guests are wired whole at their start, but for the shares that --paged and --forks give. \
      Those write to single pages at random places, in four rounds over their life, and that is \
      what fragments the memory.

      Arrivals:
        steady  one by one at a steady rate; as many as --guests from the start
        bursts  in deployments of 16 on average, of one size, that come within
                a minute or so and go together
        trace   as the file of --trace says

      A trace has the form of vmtable.csv of the Azure Public Dataset V2: no header, and in each \
      line, with commas between:
        vmid, subscriptionid, deploymentid   any text
        vmcreated, vmdeleted                 seconds from the trace's start on
        maxcpu, avgcpu, p95maxcpu            percent; not used
        vmcategory                           any text; not used
        vmcorecountbucket                    cores: 2, 4, ... or >24; not used
        vmmemorybucket                       GB: 2, 4, ... or >64, taken as 70
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The host's memory with K, M, G or T, up to 1024T. (default: 16T)", valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How many guests run at once on average. A trace of more is thinned by chance. (default: "
        + "1000, or all of the trace)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1_000_000) })
  var guests: Int?

  @Option(
    help: ArgumentHelp(
      "When guests come. (default: steady, or trace with --trace)", valueName: "how"))
  var arrivals: ArrivalsOption?

  @Option(help: ArgumentHelp("The trace to take guests from.", valueName: "file"))
  var trace: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The simulated time with s, m, h or d. (default: 2d, or that of the trace)", valueName: "time"
    ),
    transform: { try TimeSpan($0) })
  var duration: TimeSpan?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The mean of the guests' lifetimes, which are exponential. (default: 12h)", valueName: "time"),
    transform: { try TimeSpan($0) })
  var lifetime: TimeSpan?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The guests' sizes with their weights, such as 2G:30,8G:50,3.5G:20. (default: from an eighth "
        + "to four times what each guest would get of the memory, which fills nine tenths of it)",
      valueName: "list"),
    transform: { try SizeMix(argument: $0) })
  var sizes: SizeMix?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Percent of the guests that are forks of a running one of the same size, where there is one. "
        + "(default: 10)",
      valueName: "percent"),
    transform: { try Percentage($0) })
  var forks: Percentage?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Percent of the guests that are not wired but get pages when they touch them. (default: 15)",
      valueName: "percent"),
    transform: { try Percentage($0) })
  var paged: Percentage?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Percent of their memory that paged guests and forks write to. (default: "
        + "0.05)",
      valueName: "percent"),
    transform: { try Percentage($0) })
  var dirty: Percentage?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Bytes of free memory that are zeroed in the background in a second of simulated time, 0 for "
        + "none. (default: 1G)",
      valueName: "size"),
    transform: { try HoldfastCLI.scrubRate($0) })
  var scrubRate: ByteCount?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Where chance begins, a whole number. (default: 1)", valueName: "number"),
    transform: { try wholeNumber($0, in: 0...Int.max) })
  var seed = 1

  @Option(
    help: ArgumentHelp(
      "Draw used memory, fragmentation and what wires were served by over the simulated time, as "
        + "SVG.",
      valueName: "file"))
  var plot: String?

  @OptionGroup var output: FormatOptions

  /// How many guests a run may have in all: each costs some time and memory.
  private static let mostArrivals = 20_000_000.0

  func validate() throws {
    let options = options
    if arrivals == .trace, trace == nil {
      throw ValidationError("'--arrivals trace' needs the file, as '--trace <file>'")
    }
    if let arrivals, arrivals != .trace, trace != nil {
      throw ValidationError("'--trace' is for '--arrivals trace', not \(arrivals.rawValue)")
    }
    if options.pattern == .trace, sizes != nil || lifetime != nil {
      throw ValidationError(
        "'--\(sizes == nil ? "lifetime" : "sizes")' is not for a trace, which has its own")
    }
    guard options.memory.isMultiple(of: .kibibytes(4)) else {
      throw ValidationError(
        "'--memory' must be a multiple of the page size 4 KiB, not \(options.memory)")
    }
    guard options.memory >= .mebibytes(1), options.memory <= .tebibytes(1024) else {
      throw ValidationError("'--memory' must be from 1 MiB to 1024 TiB, not \(options.memory)")
    }
    guard options.forkShare + options.pagedShare <= 1 else {
      throw ValidationError("'--forks' and '--paged' must not be over 100 together")
    }
    guard let guests = options.guests, let duration = options.duration, options.pattern != .trace
    else { return }
    let lifetimes = duration.seconds / options.lifetime.seconds
    guard Double(guests) * (1 + lifetimes) <= SimulateCommand.mostArrivals else {
      throw ValidationError(
        "that would be over 20,000,000 guests in all: fewer '--guests', a shorter '--duration' or a "
          + "longer '--lifetime' are needed")
    }
  }

  /// The arguments, but for what is in the trace.
  private var options: SimulationOptions {
    let pattern = arrivals?.pattern ?? (trace == nil ? .steady : .trace)
    var options = SimulationOptions(
      memory: memory?.bytes ?? .tebibytes(16), guests: guests ?? (pattern == .trace ? nil : 1000),
      pattern: pattern)
    if let duration { options.duration = duration.duration }
    if let lifetime { options.lifetime = lifetime.duration }
    if let sizes { options.sizes = sizes }
    if let forks { options.forkShare = forks.share }
    if let paged { options.pagedShare = paged.share }
    if let dirty { options.dirtyShare = dirty.share }
    if let scrubRate { options.scrubRate = scrubRate }
    options.seed = UInt64(seed)
    return options
  }

  func run() throws {
    if let note = memory?.note { Output.note(note) }
    if let plot { try PlotFile.check(plot) }
    let result = try simulate()
    if let plot { try PlotFile.write(SimulationPlot(result).svg, to: plot) }
    let report = SimulateResult(result, trace: trace)
    switch output.format {
    case .text: try Output.write(report.text)
    case .json: try Output.write(json(report))
    }
    guard report.memory.freeAtEndBytes == report.options.memoryBytes else {
      throw CLIError(
        "frames were lost: after all guests have gone \(result.figures.freeAtEnd) of "
          + "\(result.options.memory) are free; try: report this with the command line")
    }
  }

  private func simulate() throws -> Simulation.Result {
    let progress = ProgressBar()
    Signals.watch { progress.finish() }
    progress.start()
    defer { progress.finish() }
    var options = options
    if let trace {
      progress.begin("reading")
      options.trace = try TraceFile.read(trace) { done, all in
        if let all { progress.update(.bytes(done: done, total: all)) }
      }
    }
    progress.begin("simulating")
    var simulation = Simulation(options) { DispatchTime.now().uptimeNanoseconds }
    let duration = simulation.duration
    let hours = duration / 3600
    return simulation.run { seconds in
      progress.update(
        .steps(
          done: Int(seconds), total: Int(duration),
          name: "hour \(decimal(seconds / 3600, places: 1)) of \(decimal(hours, places: 1))"))
    }
  }
}
