internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench all`.
struct BenchAllCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "all",
    abstract: "Measure everything on this host, and write a page with pictures.",
    usage: "holdfast bench all [--memory <size>] [--report <folder>] [<options>]",
    discussion: """
      Measures Holdfast, what a monitor would use instead, and the floors of both, in C: wiring of \
      guest memory on each kind of page, by size and by threads, page faults, forks, clones, \
      leases, QEMU, the boot of a guest, compared with a clone, and the budgets. Each run measures \
      everything once, in an order that rotates; a first run does not count. Measure on an idle \
      host.

      The folder gets index.html, a page without scripts that loads nothing, report.json, which \
      has each number of the page, report.csv, which has each run, and some pictures. What this \
      host cannot do, or this user may not, is on the page with the reason. So is the boot if no \
      guest is named: `holdfast help bench boot` says what it must print.

      SIGINT ends the measurement, and writes what there is. A second one ends the program without \
      a report.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      """
      The guests' memory, at least 64M and a multiple of 2M. (default: 8G, with --quick 1G, or what \
      the host has room for)
      """, valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The number of counted runs, 1 to 1000. (default: 5, with --quick 3)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1000) })
  var runs: Int?

  @Option(
    name: .customLong("report"),
    help: ArgumentHelp(
      "The folder for the report, which is created.",
      valueName: "folder"))
  var folder = "holdfast-report"

  @Flag(help: "Measure less memory in fewer runs, and no snapshots: about two minutes.")
  var quick = false

  @OptionGroup var pool: HugePageOption
  @OptionGroup var work: ThreadsOption

  @Option(
    help: ArgumentHelp(
      "The folder for the files of snapshots, on a disk. (default: $TMPDIR or /var/tmp)",
      valueName: "path"))
  var snapshotFolder: String?

  @OptionGroup var guest: GuestImageOptions
  @OptionGroup var accelerator: AcceleratorOption
  @OptionGroup var output: FormatOptions

  func validate() throws {
    if let bytes = memory?.bytes {
      guard bytes >= .mebibytes(64), bytes.isMultiple(of: .mebibytes(2)) else {
        throw ValidationError(
          "'--memory' of \(bytes) is less than 64 MiB or not a multiple of 2 MiB")
      }
    }
    if folder.isEmpty { throw ValidationError("the folder for '--report' is empty") }
    if snapshotFolder?.isEmpty == true {
      throw ValidationError("the path for '--snapshot-folder' is empty")
    }
  }

  /// The size that was asked for, or the usual one where the host has two and a half times as much:
  /// half of it may be huge pages.
  private func size(_ host: HostCapabilities) -> ByteCount {
    if let memory { return memory.bytes }
    var size = ByteCount.gibibytes(quick ? 1 : 8)
    while size > .mebibytes(64), size.rawValue / 2 * 5 > host.availableForGuests.rawValue {
      size = ByteCount(size.rawValue / 2)
    }
    return size
  }

  func run() throws {
    Output.note(on: memory)
    _ = try ZeroingChoice.environment()
    let files = ReportFolder(folder)
    try files.create()
    let host = HostProbe().host()
    let size = size(host)
    let plan = try WirePlan(
      host, memory: size, backing: pool.reserveHugepages ? .hugetlb2M : .auto,
      reserve: pool.reserveHugepages)
    let runs = runs ?? (quick ? 3 : 5)
    let threads = work.threads ?? host.parallelism
    let cancellation = CancellationToken()
    let progress = ProgressBar()
    let report = try plan.perform(cleaning: progress, cancelling: cancellation) { host in
      var benchmark = CompleteBenchmark(
        memory: BenchmarkMemory(size: size, backing: nil, threads: threads, host: host),
        runs: runs, isQuick: quick, program: "/proc/self/exe",
        snapshotFolder: snapshotFolder ?? TemporaryFolder.path, cancellation: cancellation)
      benchmark.guest = guest.image
      benchmark.accelerator = accelerator.accel
      progress.begin("measuring")
      var report = benchmark.run { step in
        progress.update(.step(step, of: runs, names: []))
      }
      report.version = HoldfastCommand.version
      report.kernel = SystemFacts.kernel
      report.date = SystemFacts.date
      try files.write(report)
      return report
    }
    try output.write(
      report, text: report.text + "\nThe report is \(files.page). All its numbers are beside it.\n")
  }
}
