internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Compares a guest that boots in QEMU with a clone of a template that continues where such a guest
/// was sealed.
///
/// Both are measured from the start of holdfast's own command until the guest writes to its
/// console: of `template create` to the guest's first marked line, and of `run --template` to the
/// next one of a clone. The template is made once, by the first run, which does not count. Each
/// further run measures both, in an order that changes from run to run. In memory, a reservoir has
/// the memory of a machine that boots ready before it is measured; on a disk, the boot includes the
/// creation of its file.
public struct BootBenchmark: Sendable {
  /// The guest's memory.
  public var memory: ByteCount
  /// The guest.
  public var guest: GuestImage
  /// The number of counted runs.
  public var runs: Int
  /// The reservoir's threads.
  public var threads: Int
  /// The program holdfast, a path.
  public var holdfast: String
  /// The QEMU program, a path or a name in `PATH`; its name begins with `qemu`.
  public var program: String
  /// QEMU's accelerator.
  public var accelerator: String
  /// The folder for the template, on tmpfs or a disk; nil for huge pages where this process may
  /// mount them and enough are free, and otherwise /dev/shm.
  public var folder: String?

  static let operation = "compare a boot with a clone"

  /// Creates a benchmark; the parameters are the properties.
  public init(
    memory: ByteCount = .mebibytes(256), guest: GuestImage, runs: Int, threads: Int,
    holdfast: String, program: String = "qemu-system-x86_64", accelerator: String = "tcg",
    folder: String? = nil
  ) {
    self.memory = memory
    self.guest = guest
    self.runs = runs
    self.threads = threads
    self.holdfast = holdfast
    self.program = program
    self.accelerator = accelerator
    self.folder = folder
  }

  /// What is measured, in seconds.
  public enum Part: String, Hashable, Sendable, CaseIterable {
    /// From the start of `template create` to the guest's first marked line.
    case boot
    /// From the start of `run --template` to the next marked line of the guest.
    case clone
    /// `template seal`, once, until the template is complete.
    case seal
  }

  /// What was measured.
  public struct Result: Sendable {
    /// The guest's memory.
    public let memory: ByteCount
    /// What the template's memory consisted of: `hugetlb-2M`, `tmpfs` or `disk`.
    public let backing: String
    /// The number of counted runs that were asked for.
    public let runs: Int
    /// QEMU's name and version.
    public let version: String
    /// QEMU's accelerator.
    public let accelerator: String
    /// The seconds of each part, one for each counted run; of the seal one.
    public internal(set) var seconds: [Part: [Double]] = [:]

    /// The seconds of a part; empty if it was not measured.
    public subscript(_ part: Part) -> [Double] { seconds[part] ?? [] }

    /// How many times as long as a clone a boot takes, run by run.
    public var speedup: PairedRatio? {
      PairedRatio(baseline: self[.clone], candidate: self[.boot])
    }
  }

  /// QEMU's name and version.
  ///
  /// - Throws: `HoldfastError` (`.host`) if QEMU cannot be run.
  public func version() throws(HoldfastError) -> String {
    try QEMUBenchmark(memory: memory, runs: 1, threads: threads, program: program).version()
  }

  /// Runs the benchmark. All that it makes is removed before it returns; the calling thread may not
  /// see the host's new mounts from then on.
  ///
  /// - Parameters:
  ///   - progress: called before each step, and some times a second while it waits; may throw to
  ///     end the benchmark.
  ///   - ran: called after each counted run with what was measured so far.
  /// - Throws: `HoldfastError` if QEMU or the guest's files are missing, if the memory is short, or
  ///   if the guest does not write what it should.
  public func run(
    progress: (BenchmarkStep) throws(HoldfastError) -> Void = { _ in },
    ran: (Int, Result) -> Void = { _, _ in }
  ) throws(HoldfastError) -> Result {
    try guest.check()
    let version = try version()
    return try BenchmarkFolder.with(in: folder ?? Self.memoryFolder, Self.operation) {
      (path) throws(HoldfastError) in
      let isMounted = folder == nil && mountHugePages(path)
      defer { if isMounted { try? HugetlbMounts.unmount(path) } }
      return try measure(BootMachines(self, path), version, progress, ran)
    }
  }

  private static let memoryFolder = "/dev/shm"
  private static let pageSize = ByteCount.mebibytes(2)

  /// The free huge pages that the template needs: its own; those of a machine that boots or of a
  /// clone, for which the kernel reserves all; and some for small files.
  public static func hugePages(for memory: ByteCount) -> ByteCount {
    memory + memory + .mebibytes(32)
  }

  /// Mounts a hugetlbfs in the folder, for this thread and what it starts.
  private func mountHugePages(_ path: String) -> Bool {
    guard geteuid() == 0, memory.isMultiple(of: Self.pageSize) else { return false }
    let needed = Self.hugePages(for: memory).rawValue / Self.pageSize.rawValue
    guard let free = try? HugePagePool(size: Self.pageSize).available, free.rawValue >= needed
    else { return false }
    return (try? HugetlbMounts.mountForThisThread(path, pageSize: Self.pageSize)) != nil
  }

  private func measure(
    _ machines: BootMachines, _ version: String,
    _ progress: (BenchmarkStep) throws(HoldfastError) -> Void, _ ran: (Int, Result) -> Void
  ) throws(HoldfastError) -> Result {
    var result = Result(
      memory: memory, backing: machines.backing, runs: runs, version: version,
      accelerator: accelerator)
    var number = 0
    for run in 0...runs {
      var order: [Part] = run.isMultiple(of: 2) ? [.boot, .clone] : [.clone, .boot]
      // The first machine becomes the template.
      if run == 0 { order.insert(.seal, at: 1) }
      for part in order {
        let step = BenchmarkStep(
          run: run, name: part.rawValue, number: number, count: (runs + 1) * 2 + 1)
        number += 1
        func check() throws(HoldfastError) { try progress(step) }
        try check()
        let seconds =
          switch part {
          case .boot: try machines.boot(keeping: run == 0, check)
          case .seal: try machines.seal(check)
          case .clone: try machines.clone(isFirst: run == 0, check)
          }
        if run > 0 || part == .seal { result.seconds[part, default: []].append(seconds) }
      }
      if run > 0 { ran(run, result) }
    }
    return result
  }
}
