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
      as much memory ready again instead. Users who do not own the reservoir release by the \
      service, and only when no process has the memory locked, open or mapped.
      """)

  @OptionGroup var lease: LeaseOptions
  @OptionGroup var place: ReservoirAccessOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    let access = try place.access()
    let end: LeaseEnd
    switch (access, try lease.number()) {
    case (.folders(let reservoir), let user): end = try reservoir.release(lease.name, user: user)
    case (.service(let client), nil): end = try client.release(lease.name)
    case (.service, _?):
      throw CLIError("only the reservoir's owner and root release the leases of other users")
    }
    try output.write(end, text: "\(end)\n")
  }
}

/// The options of commands that end leases.
struct ReuseOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What becomes of the memory: 'fresh' returns it to the host and populates as much new "
        + "memory; 'scrub' zeroes it in place, which is cheaper and only for monitors that you "
        + "trust; 'release' returns it to the host. Memory of users who do not own the reservoir "
        + "is always released.",
      valueName: "way"))
  var reuse = ReuseOption.fresh

  @Flag(help: "Debug: read all memory after scrubbing, and reject it if a byte is not zero.")
  var verify = false

  @OptionGroup var work: ThreadsOption

  var options: RecycleOptions {
    RecycleOptions(reuse: reuse.value, verifies: verify, threads: work.threads)
  }
}

/// The values of --reuse.
enum ReuseOption: String, CaseIterable, ExpressibleByArgument {
  case fresh, scrub, release

  var value: Reuse {
    switch self {
    case .fresh: .fresh
    case .scrub: .scrub
    case .release: .release
    }
  }
}

/// `holdfast reservoir recycle`.
struct ReservoirRecycleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recycle",
    abstract: "End a lease and make as much memory ready again.",
    usage: "holdfast reservoir recycle <name> [<options>]",
    discussion: """
      For the owner and root. The kernel must prove first that no process has the memory open or \
      mapped. If it does not, the command fails and the lease stays, or with --or-release the \
      memory returns to the host.

      The memory returns to the kernel, and new memory is populated. With --reuse scrub it is \
      zeroed in place, in less processor time. But the proof does not cover pages that a monitor \
      pinned: in a fixed buffer of io_uring, for a device (vfio) or in a pipe (vmsplice). Such a \
      monitor could read and write the memory of a later guest. So scrub only the memory of \
      monitors that you trust.
      """)

  @OptionGroup var lease: LeaseOptions

  @Flag(help: "Return the memory to the host if it cannot be recycled.")
  var orRelease = false

  @OptionGroup var ending: ReuseOptions
  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    _ = try ZeroingChoice.environment()
    let reservoir = try place.reservoir()
    let user = try lease.number()
    let progress = ProgressBar()
    progress.start()
    defer { progress.finish() }
    progress.begin(ending.reuse == .scrub ? "scrubbing" : "populating")
    let end = try reservoir.recycle(
      lease.name, user: user, otherwise: orRelease ? .release : .refuse, options: ending.options
    ) {
      progress.update(.bytes(done: $0, total: $1))
    }
    progress.finish()
    try output.write(end, text: "\(end)\n")
  }
}
