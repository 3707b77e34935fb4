internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux

/// How the guest of `holdfast probe` gets its memory.
enum ProbeMode: String, CaseIterable, ExpressibleByArgument {
  case wired
  case demand
  case fork
  case snapshot

  /// Whether the guest's page faults must be served.
  var needsPaging: Bool { self != .wired }

  /// The purpose of the mode's arena.
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
    abstract: "Run a guest under KVM, show the cost of its page faults, and check its memory.",
    usage: "holdfast probe [--memory <size>] [--mode <mode>] [<options>]",
    discussion: """
      Prepares memory and starts a virtual machine on it whose processors run a small program. \
      Shows how long they took to access every 4K page once, which page faults occurred, and \
      whether the guest found the right contents: zeros in new memory, and elsewhere what was \
      written before.

      wired: all memory is wired before the guest starts, and no page fault occurs. demand: no \
      page is resident at first; each page is allocated when the guest accesses it. fork: a first \
      guest fills three quarters of its memory and is forked; the second guest checks the contents \
      and overwrites them, which must not change the first guest's memory. This needs twice the \
      memory. snapshot: the memory that a first guest has filled is saved to a file and restored \
      on demand in a second guest, which checks it.

      Needs /dev/kvm and, except for wired, userfaultfd: see `holdfast host`. On a host that is \
      itself a virtual machine, guests may be emulated and take microseconds for each access.
      """)

  @OptionGroup var options: MemoryOptions

  @Option(
    help: ArgumentHelp(
      "How the guest gets its memory: wired before it starts, on demand, as a fork of another "
        + "guest, or from a snapshot.",
      valueName: "mode"))
  var mode = ProbeMode.demand

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The number of virtual processors, 1 to 1024; each accesses a part of the memory. "
        + "(default: 1)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var cpus = 1

  @Option(
    help: ArgumentHelp(
      "With --mode snapshot, the file to save to, which is kept. (default: a temporary file in "
        + "$TMPDIR or /var/tmp)", valueName: "path"))
  var snapshotFile: String?

  @OptionGroup var output: FormatOptions

  func validate() throws {
    if mode.needsPaging, options.backing == .thpPrivate {
      throw ValidationError(
        "'--backing thp-private' cannot be combined with '--mode \(mode.rawValue)', which requires "
          + "shared memory")
    }
    if snapshotFile != nil, mode != .snapshot {
      throw ValidationError("'--snapshot-file' requires '--mode snapshot'")
    }
    if snapshotFile?.isEmpty == true {
      throw ValidationError("the path for '--snapshot-file' is empty")
    }
    if let memory = options.memory?.bytes, memory >= .gibibytes(511) {
      throw ValidationError(
        "'--memory' of \(memory) exceeds what the guest can address, use less than 511G")
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
    try output.write(result, text: result.text)
    guard result.verified else {
      throw CLIError(
        "the guest found wrong contents: " + result.problems.joined(separator: "; ")
          + "; try: another --backing, and report this with the output of `holdfast host`")
    }
  }
}
