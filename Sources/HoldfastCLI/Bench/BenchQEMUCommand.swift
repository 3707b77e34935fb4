internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench qemu`.
struct BenchQEMUCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "qemu",
    abstract: "Compare QEMU's start on leased memory with its own preallocation.",
    usage: "holdfast bench qemu [--memory <size>] [--runs <count>] [<options>]",
    discussion: """
      Starts QEMU with a machine that is stopped before its first instruction (-S) and then quits \
      on a QMP command, with two kinds of memory in turn:
        prealloc  memory-backend-memfd with hugetlb=on, prealloc=on and a thread
                  for each processor: from QEMU's start to its end
        leased    memory-backend-file on a file leased from a reservoir, as by
                  holdfast run: from before the lease to QEMU's end
      Shows separately the lease alone, the recycling after each run, the filling before it, and \
      what prealloc does ahead and leased does not: touch maps the leased file and accesses each \
      page once, as the guest's first accesses will. Faults are minor page faults, of QEMU or of \
      the touching. A first run is a warm-up that does not count.

      Needs root and huge pages for one guest. The reservoir is on a hugetlbfs that no other \
      process sees and that disappears with the program, even after kill -9.
      """)

  @OptionGroup var size: MemorySizeOption
  @OptionGroup var count: RunsOption

  @Option(help: ArgumentHelp("The huge page size. (default: 2M)", valueName: "size"))
  var hugepageSize: HugePageSize?

  @OptionGroup var pool: HugePageOption
  @OptionGroup var work: ThreadsOption

  @Option(help: ArgumentHelp("The QEMU program, a path or a name in $PATH.", valueName: "program"))
  var qemu = "qemu-system-x86_64"

  @OptionGroup var accelerator: AcceleratorOption

  @OptionGroup var output: FormatOptions

  private var backing: BackingOption {
    hugepageSize?.bytes == .gibibytes(1) ? .hugetlb1G : .hugetlb2M
  }

  func validate() throws {
    try WirePlan.validate(
      memory: size.memory?.bytes, backing: backing, reserve: pool.reserveHugepages)
  }

  func run() throws {
    Output.note(on: size.memory)
    _ = try ZeroingChoice.environment()
    let host = HostProbe().host()
    let plan = try WirePlan(
      host, memory: size.memory?.bytes, backing: backing, reserve: pool.reserveHugepages)
    let benchmark = QEMUBenchmark(
      memory: plan.memory, pageSize: hugepageSize?.bytes ?? .mebibytes(2), runs: count.runs,
      threads: work.threads ?? host.parallelism, program: qemu, accelerator: accelerator.accel)
    // QEMU must run before the pool is enlarged for it.
    do throws(HoldfastError) {
      _ = try benchmark.version()
    } catch {
      throw CLIError(AdviceText.line(error) + ", or --qemu <program>")
    }
    let progress = ProgressBar()
    let result = try plan.perform(cleaning: progress) { _ in
      progress.begin("measuring")
      return try benchmark.run {
        progress.update(
          .step($0, of: count.runs, names: QEMUBenchmark.Part.allCases.map(\.rawValue)))
      }
    }
    let report = QEMUBenchmarkReport(result)
    try output.write(report, text: report.text)
  }
}
