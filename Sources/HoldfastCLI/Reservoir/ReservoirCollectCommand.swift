internal import ArgumentParser
internal import HoldfastLinux
internal import HoldfastReservoir

/// `holdfast reservoir gc`.
struct ReservoirCollectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gc",
    abstract: "Take away what dead processes left.",
    usage: "holdfast reservoir gc [--older-than <time>] [--unlink] [<options>]",
    discussion: """
      Files being filled or scrubbed whose process is dead go. Leases of `holdfast run` whose lock is \
      free, as holdfast and the monitor are dead, are scrubbed and ready again, or given back to the \
      host where the kernel does not prove that nobody has them open. Leases made by `lease` are \
      held by no process, so only their age can tell: with --older-than those go that are as old \
      and that nobody has open.

      Root collects everybody's, others their own; only the owner and root what is being filled.
      """)

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Collect leases made by `lease` too that were made as long ago, in seconds or with a unit, "
        + "such as 12h or 7d, and that nobody has open.",
      valueName: "time"),
    transform: { try span($0) })
  var olderThan: Duration?

  @Flag(help: "Give orphans back to the host instead of scrubbing them.")
  var unlink = false

  @OptionGroup var scrub: ScrubOptions
  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    _ = try ZeroingChoice.environment()
    var options = CollectOptions(age: olderThan, recycles: !unlink)
    options.recycling = scrub.options
    let report = try place.reservoir().collect(options)
    try report.write(output.format)
  }
}

/// `holdfast reservoir drain`.
struct ReservoirDrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain",
    abstract: "Give all ready memory back to the host; leases stay.",
    usage: "holdfast reservoir drain [<options>]",
    discussion: """
      The huge pages go back to the host's pool. To make ordinary memory of them set nr_hugepages.
      """)

  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    let report = try place.reservoir().drain()
    try report.write(output.format)
  }
}

extension CollectReport {
  /// Writes what was done, and throws where something could not be.
  fileprivate func write(_ format: OutputFormat) throws {
    switch format {
    case .text: try Output.write("\(self)\n")
    case .json: try Output.write(json(self))
    }
    guard let first = failed.first else { return }
    let others = failed.count - 1
    throw CLIError(
      Output.singleLine(first) + (others > 0 ? "; and \(others) more like it" : ""))
  }
}
