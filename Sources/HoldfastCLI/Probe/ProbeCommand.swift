internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux

/// How the guest of `holdfast probe` gets its memory.
enum ProbeMode: String, CaseIterable, ExpressibleByArgument {
  case wired
  case demand
  case fork
  case snapshot

  /// Whether the guest's faults have to be answered.
  var pages: Bool { self != .wired }

  /// What the mode's arena is for.
  var purpose: ArenaPurpose {
    switch self {
    case .wired: .wiring
    case .demand, .snapshot: .paging
    case .fork: .forking
    }
  }
}

/// `holdfast probe`.
struct ProbeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe",
    abstract: "Run a guest under KVM on memory, and show what its touches cost and found.",
    usage: "holdfast probe [--memory <size>] [--mode <mode>] [<options>]",
    discussion: """
      Prepares memory, starts a virtual machine on it whose processors run a small program, and tells \
      how long it took them to touch every 4K page once, which faults were taken on the way, and \
      whether the guest found what it should: zeros in memory that is new, and elsewhere what was \
      written there.

      wired: all memory is wired before the guest starts; no fault is taken. demand: nothing is there; \
      each page comes when the guest touches it. fork: a first guest fills three quarters of its \
      memory and is forked; the second guest checks that, writes its own, and the first one's must not \
      have changed. It takes twice the memory. snapshot: what a first guest has filled is saved to a \
      file and restored on demand under a second one, which checks it.

      Needs /dev/kvm and, but for wired, userfaultfd: see `holdfast host`. Where the host itself is a \
      virtual machine, guests may run by emulation: some microseconds for each touch.
      """)

  @OptionGroup var options: MemoryOptions

  @Option(
    help: ArgumentHelp(
      "How the guest gets its memory: wired ahead, on demand, as a fork of another guest, or from a "
        + "snapshot.", valueName: "mode"))
  var mode = ProbeMode.demand

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The guest's processors, 1 to 1024, which share the memory out among themselves.",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var cpus = 1

  @Option(
    help: ArgumentHelp(
      "With --mode snapshot, where to save to; the file is kept. (default: a file in $TMPDIR or "
        + "/var/tmp that is removed)", valueName: "path"))
  var snapshotFile: String?

  @OptionGroup var output: FormatOptions

  func validate() throws {
    if mode.pages, options.backing == .thpPrivate {
      throw ValidationError(
        "'--backing thp-private' is private memory, which '--mode \(mode.rawValue)' cannot use: only "
          + "'--mode wired'")
    }
    if snapshotFile != nil, mode != .snapshot {
      throw ValidationError("'--snapshot-file' is of no use without '--mode snapshot'")
    }
    if snapshotFile?.isEmpty == true {
      throw ValidationError("'--snapshot-file' needs the path of a file")
    }
    if let memory = options.memory?.bytes, memory >= .gibibytes(511) {
      throw ValidationError("'--memory' must be less than 511 GiB, which is what the guest reaches")
    }
  }

  func run() throws {
    let host = HostProbe().host()
    try ProbePlan.check(host, mode)
    let plan = try ProbePlan(host, options, mode)
    let run = ProbeRun(
      plan: plan, mode: mode, cpus: cpus, threads: options.threads,
      guestPolicy: options.guestPolicy, snapshotFile: snapshotFile)
    let result = try run.perform()
    switch output.format {
    case .text: try Output.write(result.text)
    case .json: try Output.write(json(result))
    }
    guard result.verified else {
      throw CLIError(
        "the guest's memory is not what it should be: " + result.problems.joined(separator: "; ")
          + "; try: another --backing, and report this with the output of `holdfast host`")
    }
  }
}
