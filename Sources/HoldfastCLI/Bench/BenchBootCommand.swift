internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench boot`.
struct BenchBootCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "boot",
    abstract: "Compare a guest that boots in QEMU with a clone of it.",
    usage: """
      holdfast bench boot --guest-kernel <file> --guest-initrd <file> \\
        [<options>]
      """,
    discussion: """
      Boots a guest in QEMU, seals it as a template, and then measures in turn
        boot   another machine that boots: from the start of holdfast template
               create to the first line that the guest's init prints
        clone  a clone of the template: from the start of holdfast run --template
               to the next line, with which the guest continues
      A first run is a warm-up that does not count. The ratio is taken run by run; its median and \
      its range are shown.

      The init prints a word and a number to the serial console when it is ready, and then the \
      next numbers as long as it runs: ready 1, ready 2. In a shell:
        n=0; while :; do n=$((n + 1)); echo "ready $n"; sleep 0.01; done

      The template's memory consists of huge pages that only this command sees, where root runs it \
      and twice the memory and 32 MiB are free; otherwise it is in a folder in /dev/shm. What was \
      made is removed at the end. After kill -9 the next benchmark that makes a folder in the \
      same place removes what was left.
      """)

  @OptionGroup var guest: GuestImageOptions

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The guest's memory, at least 32M and a multiple of 2M. (default: 256M)", valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    help: ArgumentHelp(
      "The folder for the template, on tmpfs or a disk. (default: see above)",
      valueName: "folder"))
  var mount: String?

  @OptionGroup var count: RunsOption
  @OptionGroup var pool: HugePageOption
  @OptionGroup var work: ThreadsOption

  @Option(
    help: ArgumentHelp(
      "The QEMU program, a path or a name in $PATH, which begins with qemu.", valueName: "program"))
  var qemu = "qemu-system-x86_64"

  @OptionGroup var accelerator: AcceleratorOption
  @OptionGroup var output: FormatOptions

  private var size: ByteCount { memory?.bytes ?? .mebibytes(256) }

  func validate() throws {
    guard guest.guestKernel != nil else {
      throw ValidationError("'--guest-kernel' and '--guest-initrd' are missing")
    }
    guard size >= .mebibytes(32), size.isMultiple(of: .mebibytes(2)) else {
      throw ValidationError("'--memory' of \(size) is less than 32 MiB or not a multiple of 2 MiB")
    }
    guard size <= .gibibytes(1 << 20) else {
      throw ValidationError("'--memory' of \(size) is more than a machine can have")
    }
    if mount?.isEmpty == true { throw ValidationError("the folder for '--mount' is empty") }
    if mount != nil, pool.reserveHugepages {
      throw ValidationError("'--mount' and '--reserve-hugepages' cannot be combined")
    }
    guard qemu.split(separator: "/").last?.hasPrefix("qemu") == true else {
      throw ValidationError(
        "the program for '--qemu' must have a name that begins with qemu: holdfast knows by it that "
          + "it takes commands by QMP")
    }
  }

  func run() throws {
    Output.note(on: memory)
    _ = try ZeroingChoice.environment()
    guard let image = guest.image else { return }
    let host = HostProbe().host()
    let benchmark = BootBenchmark(
      memory: size, guest: image, runs: count.runs, threads: work.threads ?? host.parallelism,
      holdfast: "/proc/self/exe", program: qemu, accelerator: accelerator.accel,
      folder: mount.map(absolute))
    // QEMU must run before the pool is enlarged for it.
    do throws(HoldfastError) {
      _ = try benchmark.version()
    } catch {
      throw CLIError(AdviceText.line(error) + ", or --qemu <program>")
    }
    let reserve = pool.reserveHugepages
    let plan = try WirePlan(
      host, memory: reserve ? BootBenchmark.hugePages(for: size) : size,
      backing: reserve ? .hugetlb2M : .auto, reserve: reserve)
    let progress = ProgressBar()
    let cancellation = CancellationToken()
    let result = try plan.perform(cleaning: progress, cancelling: cancellation) { _ in
      progress.begin("measuring")
      return try benchmark.run { (step) throws(HoldfastError) in
        if cancellation.isCancelled {
          throw HoldfastError(.cancelled, operation: "measure", reason: "it was cancelled")
        }
        progress.update(
          .step(step, of: count.runs, names: BootBenchmark.Part.allCases.map(\.rawValue)))
      }
    }
    let report = BootBenchmarkReport(result)
    try output.write(report, text: report.text)
  }
}
