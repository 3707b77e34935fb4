internal import ArgumentParser
internal import HoldfastLinux
internal import HoldfastReservoir

/// `holdfast reservoir release`.
struct ReservoirReleaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release",
    abstract: "Give a lease's memory back to the host.",
    usage: "holdfast reservoir release <name> [<options>]",
    discussion: """
      The file goes at once. A monitor that still has it mapped keeps its memory; the kernel frees \
      and zeroes it afterwards, so it is safe whatever the monitor did. `recycle` makes the memory \
      ready again instead.
      """)

  @OptionGroup var lease: LeaseOptions
  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    let end = try place.reservoir().release(lease.name, user: try lease.number())
    switch output.format {
    case .text: try Output.write("\(end)\n")
    case .json: try Output.write(json(end))
    }
  }
}

/// Options of commands that scrub.
struct ScrubOptions: ParsableArguments {
  @Flag(help: "Debug: read all of the memory after scrubbing, and refuse it where it is not zero.")
  var verify = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that scrub, 1 to 1024. (default: one for each processor that may be used)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var threads: Int?

  var options: RecycleOptions { RecycleOptions(verifies: verify, threads: threads) }
}

/// `holdfast reservoir recycle`.
struct ReservoirRecycleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recycle",
    abstract: "Scrub a lease's memory and make it ready again.",
    usage: "holdfast reservoir recycle <name> [<options>]",
    discussion: """
      For the owner and root. Only once the kernel has proven that no process has the memory open or \
      mapped; otherwise it is an error and the lease stays, or with --or-release the host gets the \
      memory. Scrubbing is several times as fast as the kernel's zeroing.

      Memory that the monitor has pinned elsewhere, for a device (vfio) or in a pipe (vmsplice), is \
      neither open nor mapped: recycle what comes from monitors that you trust so far, and release \
      the rest.
      """)

  @OptionGroup var lease: LeaseOptions

  @Flag(help: "Give the memory back to the host where it cannot be recycled.")
  var orRelease = false

  @OptionGroup var scrub: ScrubOptions
  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    _ = try ZeroingChoice.environment()
    let reservoir = try place.reservoir()
    let user = try lease.number()
    let progress = ProgressBar()
    progress.start()
    defer { progress.finish() }
    progress.begin("scrubbing")
    let end = try reservoir.recycle(
      lease.name, user: user, otherwise: orRelease ? .release : .refuse, options: scrub.options
    ) {
      progress.update(.bytes(done: $0, total: $1))
    }
    progress.finish()
    switch output.format {
    case .text: try Output.write("\(end)\n")
    case .json: try Output.write(json(end))
    }
  }
}
