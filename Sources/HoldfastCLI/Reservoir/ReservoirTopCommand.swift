internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastService
internal import SystemPackage

/// `holdfast reservoir top`.
struct ReservoirTopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Watch levels, leases, fills and failures as they change.",
    usage: "holdfast reservoir top [-d <seconds>] [-n <count>] [<options>]",
    discussion: """
      Shows what `status` shows and, of the service, its levels, the rates of leases, fills, \
      collections and failures, and how long leases and fills take. The metrics come from the port \
      or the file in [metrics] of the service's configuration, or from --metrics. Without them the \
      view shows the folders alone, and says what is missing.

      On a terminal the view fills the screen: q quits, p or space pauses, ? shows a help. NO_COLOR \
      in the environment turns colors off. With --count, --once or --batch, with TERM=dumb, or if \
      standard output is no terminal, the views are printed after one another, without a limit of \
      lines. The first view has no other to compare with, so its rates are those since the service \
      started.
      """)

  @Option(
    name: [.customShort("d"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The time between two views, in seconds or with a unit: 0.5, 1m. (default: 2)",
      valueName: "seconds"),
    transform: { try span($0) })
  var interval: Duration?

  @Option(
    name: [.customShort("n"), .long], parsing: .unconditional,
    help: ArgumentHelp("Print this number of views and exit.", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1_000_000_000) })
  var count: Int?

  @Flag(help: "Print one view and exit, as -n 1 does.")
  var once = false

  @Flag(
    name: [.customShort("b"), .long],
    help: "Print the views after one another, also on a terminal.")
  var batch = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The service's metrics: the address of its port, such as 127.0.0.1:9816, or the path of its "
        + "text file. (default: as in the configuration)",
      valueName: "source"),
    transform: { try MetricsSource(typed: $0) })
  var metrics: MetricsSource?

  @Option(
    help: ArgumentHelp("The service's configuration file.", valueName: "file"))
  var config = TopSampler.defaultConfiguration

  @OptionGroup var place: ReservoirAccessOptions
  @Option(
    help: ArgumentHelp(
      "The output format: text for people, or json, an object in a line for each view, whose keys "
        + "do not change.",
      valueName: "format"))
  var format = OutputFormat.text

  func validate() throws {
    if let interval, !(.milliseconds(100)...(.seconds(86_400))).contains(interval) {
      throw ValidationError("'--interval' takes 0.1 seconds to a day")
    }
    if once, count != nil { throw ValidationError("'--once' and '--count' cannot be combined") }
  }

  func run() throws {
    let interval = interval ?? .seconds(2)
    let sampler = TopSampler(
      .init(
        mount: place.place.mount.map(absolute), socket: place.socket.map(absolute),
        metrics: metrics, configuration: absolute(config), interval: interval))
    let count = once ? 1 : count
    if count == nil, !batch, format == .text, Terminal.isUsable {
      try fillScreen(sampler, interval)
    } else {
      try printViews(sampler, interval, count)
    }
  }

  /// The first view, which has something to show.
  private func first(_ sampler: TopSampler) throws -> TopState {
    let state = sampler.sample()
    if case .unknown = state.service, let problem = state.problem { throw CLIError(problem) }
    return state
  }

  private func fillScreen(_ sampler: TopSampler, _ interval: Duration) throws {
    // Signals still end the program here, where a service may let it wait.
    let first = try first(sampler)
    do throws(Errno) {
      // Before other threads exist, which inherit the blocked signals.
      var screen = TopScreen(
        try Terminal(), sampler, interval: interval, hasColors: Terminal.hasColors)
      if let signal = try screen.run(first) { Signals.end(by: signal) }
    } catch {
      throw CLIError("cannot use the terminal: \(error); try: --batch")
    }
  }

  private func printViews(_ sampler: TopSampler, _ interval: Duration, _ count: Int?) throws {
    var state = try first(sampler)
    var next = ContinuousClock.now
    var done = 0
    while true {
      switch format {
      case .json: try Output.write(try jsonLine(TopReport(state)))
      case .text:
        let view = TopView(state: state, columns: TopView.unlimited, rows: TopView.unlimitedRows)
        let text = view.lines.map { $0.text + "\n" }.joined()
        try Output.write((done > 0 ? "\n" : "") + text)
      }
      done += 1
      if let count, done >= count { return }
      next = max(next + interval, ContinuousClock.now)
      while ContinuousClock.now < next {
        var nothing = PollSet()
        nothing.wait(next - ContinuousClock.now)
      }
      state = sampler.sample()
    }
  }
}
