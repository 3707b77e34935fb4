internal import ArgumentParser
internal import HoldfastLinux
internal import HoldfastReservoir

/// `holdfast reservoir gc`.
struct ReservoirCollectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gc",
    abstract: "Collect what dead processes left.",
    usage: "holdfast reservoir gc [--older-than <time>] [--reuse <way>] [<options>]",
    discussion: """
      Removes files whose filling or scrubbing process has died. Leases of `holdfast run` whose \
      lock is free, because holdfast and the monitor have ended, are replaced by new memory, or \
      scrubbed or released as --reuse says; memory that the kernel cannot prove closed is \
      returned to the host. A lease made by `lease` has no process, so only its age shows that it \
      is abandoned: --older-than collects the leases of that age that no process has open.

      Files in the folder of ready memory that are not as they should be are moved to quarantine, \
      which `drain` empties. For the owner and root.
      """)

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Also collect leases made by `lease` that are at least this old and that no process has "
        + "open. A number of seconds, or a number with a unit: 12h, 7d.",
      valueName: "time"),
    transform: { try span($0) })
  var olderThan: Duration?

  @OptionGroup var ending: ReuseOptions
  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    _ = try ZeroingChoice.environment()
    var options = CollectOptions(age: olderThan)
    options.recycling = ending.options
    let report = try place.reservoir().collect(options)
    try report.write(output)
  }
}

/// `holdfast reservoir drain`.
struct ReservoirDrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain",
    abstract: "Return all ready memory to the host; leases stay.",
    usage: "holdfast reservoir drain [<options>]",
    discussion: """
      The huge pages return to the host's pool. To turn them into ordinary memory, lower \
      nr_hugepages.
      """)

  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    let report = try place.reservoir().drain()
    try report.write(output)
  }
}

extension CollectReport {
  /// Writes what was done, and throws if something failed.
  fileprivate func write(_ output: FormatOptions) throws {
    try output.write(self, text: "\(self)\n")
    guard let first = failed.first else { return }
    let others = failed.count - 1
    throw CLIError(
      Output.singleLine(first) + (others > 0 ? ", and \(others) more such errors" : ""))
  }
}
