internal import ArgumentParser
internal import HoldfastLinux
internal import HoldfastReservoir

/// `holdfast reservoir release`.
struct ReservoirReleaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release",
    abstract: "Return a lease's memory to the host.",
    usage: "holdfast reservoir release <name> [<options>]",
    discussion: """
      Removes the file at once. A monitor that still has it mapped keeps the memory; the kernel \
      frees and zeroes it afterwards, so this is safe whatever the monitor did. `recycle` makes \
      the memory ready again instead.
      """)

  @OptionGroup var lease: LeaseOptions
  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    let end = try place.reservoir().release(lease.name, user: try lease.number())
    try output.write(end, text: "\(end)\n")
  }
}

/// The options of commands that scrub.
struct ScrubOptions: ParsableArguments {
  @Flag(help: "Debug: read all memory after scrubbing, and reject it if a byte is not zero.")
  var verify = false

  @OptionGroup var work: ThreadsOption

  var options: RecycleOptions { RecycleOptions(verifies: verify, threads: work.threads) }
}

/// `holdfast reservoir recycle`.
struct ReservoirRecycleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recycle",
    abstract: "Scrub a lease's memory and make it ready again.",
    usage: "holdfast reservoir recycle <name> [<options>]",
    discussion: """
      For the owner and root. The kernel must prove first that no process has the memory open or \
      mapped. If it does not, the command fails and the lease stays, or with --or-release the \
      memory returns to the host. Scrubbing is several times as fast as the kernel's zeroing.

      The proof does not cover pages that a monitor pinned, for a device (vfio) or in a pipe \
      (vmsplice). So recycle the memory of monitors that you trust, and release the rest.
      """)

  @OptionGroup var lease: LeaseOptions

  @Flag(help: "Return the memory to the host if it cannot be recycled.")
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
    try output.write(end, text: "\(end)\n")
  }
}
