internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench qemu`.
struct BenchQEMUCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "qemu",
    abstract: "Time QEMU's start on leased memory against memory that QEMU brings in itself.",
    usage: "holdfast bench qemu [--memory <size>] [--runs <count>] [<options>]",
    discussion: """
      Starts QEMU with a machine that is stopped before its first instruction (-S) and told to quit on \
      its monitor, with two kinds of memory in turn:
        prealloc  memory-backend-memfd with hugetlb=on, prealloc=on and a thread for each processor:
                  from QEMU's start until it has ended
        leased    memory-backend-file on a file leased from a reservoir, as holdfast run does it: from
                  before the lease until QEMU has ended
      Shown beside are the lease alone, the recycling after each run, and the filling before it. A first \
      run is not counted.

      Needs root and huge pages for one guest. The reservoir is on a hugetlbfs of its own that nobody \
      else sees and that goes with the program, also after kill -9.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The guest's memory, with K, M, G or T: 512M, 10G. (default: 10G or half of what is "
        + "available, whichever is less)", valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Runs that count, 1 to 1000; ministat's statistics need 3. (default: 10)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1000) })
  var runs = 10

  @Option(help: ArgumentHelp("The size of huge pages, 2M or 1G. (default: 2M)"))
  var hugepageSize: HugePageSize?

  @Flag(
    help: ArgumentHelp(
      "Raise the pool of huge pages by as many as are missing, and lower it again by exactly that "
        + "at the end, also after a failure or a signal. (Not after kill -9.)"))
  var reserveHugepages = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that bring in and scrub memory, QEMU's too, 1 to 1024. (default: one for each "
        + "processor that may be used)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var threads: Int?

  @Option(help: ArgumentHelp("QEMU, found as by the shell.", valueName: "program"))
  var qemu = "qemu-system-x86_64"

  @Option(help: ArgumentHelp("QEMU's accelerator, for both.", valueName: "name"))
  var accel = "tcg"

  @OptionGroup var output: FormatOptions

  private var backing: BackingOption {
    hugepageSize?.bytes == .gibibytes(1) ? .hugetlb1G : .hugetlb2M
  }

  func validate() throws {
    try WirePlan.validate(memory: memory?.bytes, backing: backing, reserve: reserveHugepages)
    if !accel.allSatisfy({ $0.isLetter || $0.isNumber || $0 == ":" }) || accel.isEmpty {
      throw ValidationError("'--accel' takes the name of an accelerator, such as kvm or tcg")
    }
  }

  func run() throws {
    if let note = memory?.note { Output.note(note) }
    _ = try ZeroingChoice.environment()
    let host = HostProbe().host()
    let plan = try WirePlan(
      host, memory: memory?.bytes, backing: backing, reserve: reserveHugepages)
    let benchmark = QEMUBenchmark(
      memory: plan.memory, pageSize: hugepageSize?.bytes ?? .mebibytes(2), runs: runs,
      threads: threads ?? host.parallelism, program: qemu, accelerator: accel)
    // Before pages are reserved.
    _ = try benchmark.version()
    let progress = ProgressBar()
    let result = try plan.perform(cleaning: progress) { _ in
      progress.begin("measuring")
      return try benchmark.run { step in
        let run = step.run == 0 ? "warm-up" : "run \(step.run) of \(runs)"
        progress.update(
          .steps(done: step.number, total: step.count, name: "\(run), \(step.part.rawValue)"))
      }
    }
    let report = QEMUBenchmarkReport(result)
    switch output.format {
    case .text: try Output.write(report.text)
    case .json: try Output.write(json(report))
    }
  }
}
