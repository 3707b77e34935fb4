internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench template`.
struct BenchTemplateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "template",
    abstract: "Time clones of a template, with and without pages that are read ahead.",
    usage: "holdfast bench template [--memory <size>] [--mount <folder>] [<options>]",
    discussion: """
      Fills the memory of a KVM guest, seals it as a template, and clones it in this process. In \
      each clone a guest program reads one word in every tenth page in a random order, the same \
      each time, and compares it with the template's. The clones get their pages in turn
        on demand      each at its first access
        read ahead     threads read them in the order of an earlier clone's accesses
        entered ahead  the same, and the pages are mapped, so that they do not fault
        copied         all memory is read before the guest starts: no clone
      A first run is a warm-up that does not count. The time to a clone's first access is shown \
      separately.

      The template takes as much space as the memory, in a folder that disappears at the end (after \
      kill -9 at the next run), and the clones share as much memory again.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp("The memory, a multiple of 2M. (default: 1G)", valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    help: ArgumentHelp(
      "The folder for the template: on tmpfs, on a disk, or a mount of hugetlbfs.",
      valueName: "folder"))
  var mount = "/dev/shm"

  @Option(
    help: ArgumentHelp("The kind of the clones' memory: see bench wire.", valueName: "backing"))
  var backing = BackingOption.auto

  @Flag(help: "Have page faults copy base pages instead of pages of 2M.")
  var basePages = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that read pages ahead, 1 to 64.", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...64) })
  var aheadThreads = 2

  @OptionGroup var pool: HugePageOption
  @OptionGroup var count: RunsOption
  @OptionGroup var work: ThreadsOption
  @OptionGroup var output: FormatOptions

  private var size: ByteCount { memory?.bytes ?? .gibibytes(1) }

  func validate() throws {
    try WirePlan.validate(memory: size, backing: backing, reserve: pool.reserveHugepages)
    guard size.isMultiple(of: .mebibytes(2)) else {
      throw ValidationError("\(size) is not a multiple of 2M, use such a size for '--memory'")
    }
    if backing == .thpPrivate {
      throw ValidationError(
        "'thp-private' memory cannot be paged on demand, use another '--backing'")
    }
  }

  func run() throws {
    Output.note(on: memory)
    _ = try ZeroingChoice.environment()
    let plan = try WirePlan(
      HostProbe().host(), memory: size, backing: backing, reserve: pool.reserveHugepages)
    let progress = ProgressBar()
    let cancellation = CancellationToken()
    let result = try plan.perform(cleaning: progress, cancelling: cancellation) { host in
      try BenchmarkFolder.with(in: mount, "measure clones of a template") {
        (folder) throws(HoldfastError) in
        let benchmark = TemplateBenchmark(
          memory: size, mount: folder, backing: plan.backing,
          granularity: basePages ? .basePage : .largePage, runs: count.runs,
          threads: work.threads ?? host.parallelism, prefetchThreads: aheadThreads, host: host)
        progress.begin("measuring")
        return try benchmark.run(cancellation: cancellation) {
          progress.update(
            .step(
              $0, of: count.runs, names: TemplateBenchmark.Way.allCases.map(\.rawValue)))
        }
      }
    }
    let report = TemplateBenchmarkReport(result)
    try output.write(report, text: report.text)
  }
}
