public import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import SystemPackage

/// Compares QEMU's time from start to end on leased guest memory with its time on memory that QEMU
/// populates itself, as fast as it can.
///
/// Both have the same arguments except for the memory: a machine that is stopped before its first
/// instruction (`-S`) and told to quit by QMP. Each run measures both, in an order that changes
/// from run to run; a first run does not count. QEMU populates the memory of one, and not that of the
/// other, whose pages the guest's first accesses would fault in. What these cost is measured too: the
/// leased file is mapped once more, and each page is accessed. No more than one guest's memory is allocated at a
/// time: the reservoir's file is filled right before it is leased, and drained afterwards. Filling
/// and recycling are measured too.
public struct QEMUBenchmark: Sendable {
  /// The guest's memory.
  public var memory: ByteCount
  /// The huge page size.
  public var pageSize: ByteCount
  /// The number of counted runs.
  public var runs: Int
  /// QEMU's `prealloc-threads`, and the reservoir's threads.
  public var threads: Int
  /// The QEMU program, a path or a name in `PATH`.
  public var program: String
  /// QEMU's accelerator.
  public var accelerator: String

  /// Creates a benchmark; the parameters are the properties.
  public init(
    memory: ByteCount, pageSize: ByteCount = .mebibytes(2), runs: Int, threads: Int,
    program: String = "qemu-system-x86_64", accelerator: String = "tcg"
  ) {
    self.memory = memory
    self.pageSize = pageSize
    self.runs = runs
    self.threads = threads
    self.program = program
    self.accelerator = accelerator
  }

  /// What is measured, in seconds.
  public enum Part: String, Hashable, Sendable, CaseIterable {
    /// QEMU on memory that it populates: from its start to its end.
    case prealloc
    /// The lease and QEMU on it: from before the lease to QEMU's end.
    case leased
    /// The lease alone, a part of `leased`.
    case lease
    /// Mapping the leased file and accessing each of its pages once, on one thread, afterwards: the
    /// faults that a guest's first accesses still take.
    case touch
    /// Scrubbing the memory and making it ready again, afterwards.
    case recycle
    /// Populating the memory, beforehand.
    case fill
  }

  /// What was measured.
  public struct Result: Sendable {
    /// The guest's memory.
    public let memory: ByteCount
    /// The huge page size.
    public let pageSize: ByteCount
    /// The number of counted runs.
    public let runs: Int
    /// The threads of QEMU and of the reservoir.
    public let threads: Int
    /// QEMU's name and version.
    public let version: String
    /// QEMU's accelerator.
    public let accelerator: String
    /// The seconds of each part, one for each counted run.
    public let seconds: [Part: [Double]]
    /// The minor page faults of a part, one number for each counted run: those of QEMU, and those of
    /// the accesses. Other parts have none.
    public let minorFaults: [Part: [Int64]]

    /// The seconds of a part; empty if it was not measured.
    public subscript(_ part: Part) -> [Double] { seconds[part] ?? [] }
  }

  /// QEMU's name and version.
  ///
  /// - Throws: `HoldfastError` (`.host`) if QEMU cannot be run.
  public func version() throws(HoldfastError) -> String {
    let lines = try qemu(["--version"]).output.split(separator: "\n")
    return lines.first.map(String.init) ?? program
  }

  /// Runs the benchmark on a new hugetlbfs that no other process sees and that disappears with this
  /// one. Needs root. The calling thread does not see the host's new mounts from then on.
  ///
  /// - Parameter progress: called before each step; may throw to end the benchmark.
  /// - Throws: `HoldfastError` if QEMU, the mount or the reservoir fails.
  public func run(
    progress: (BenchmarkStep) throws(HoldfastError) -> Void = { _ in }
  ) throws(HoldfastError) -> Result {
    let version = try version()
    let mount: String
    do throws(Errno) {
      mount = try HugetlbMounts.mountForThisThread(pageSize: pageSize)
    } catch {
      throw HoldfastError(
        error == .notPermitted ? .notPermitted : .host,
        operation: "mount a hugetlbfs with pages of \(pageSize)", reason: "mount(2) failed",
        errno: error.rawValue,
        advice: error == .notPermitted ? .becomeRoot : .other("another size of huge pages"))
    }
    defer { try? HugetlbMounts.unmount(mount) }
    // The reservoir keeps folders of the mount open, so it is released first.
    let reservoir = try Reservoir.create(mount: mount)
    return try perform(reservoir, version, progress)
  }

  private func perform(
    _ reservoir: Reservoir, _ version: String,
    _ progress: (BenchmarkStep) throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> Result {
    var seconds: [Part: [Double]] = [:]
    var faults: [Part: [Int64]] = [:]
    var number = 0
    for run in 0...runs {
      func step(_ part: Part) throws(HoldfastError) {
        try progress(
          BenchmarkStep(run: run, name: part.rawValue, number: number, count: (runs + 1) * 5))
        number += 1
      }
      func count(_ part: Part, _ time: Double, _ minorFaults: Int64?) {
        guard run > 0 else { return }
        seconds[part, default: []].append(time)
        if let minorFaults { faults[part, default: []].append(minorFaults) }
      }
      /// Times a part, which returns its page faults if it has counted them.
      func time(
        _ part: Part, _ body: () throws(HoldfastError) -> Int64?
      ) throws(HoldfastError) {
        try step(part)
        let start = Instant.now
        let minorFaults = try body()
        count(part, (Instant.now - start).seconds, minorFaults)
      }
      // The warm-up begins with the reservoir: if pages are missing, its error is the clearer one.
      let isFirst = !run.isMultiple(of: 2)
      if isFirst { try time(.prealloc) { () throws(HoldfastError) in try start(preallocated) } }
      try time(.fill) { () throws(HoldfastError) in
        try fill(reservoir)
        return nil
      }
      try useLease(of: reservoir, time, count) { () throws(HoldfastError) in try step(.touch) }
      try time(.recycle) { () throws(HoldfastError) in
        try recycle(reservoir)
        return nil
      }
      _ = try reservoir.drain()
      if !isFirst { try time(.prealloc) { () throws(HoldfastError) in try start(preallocated) } }
    }
    return Result(
      memory: memory, pageSize: pageSize, runs: runs, threads: threads, version: version,
      accelerator: accelerator, seconds: seconds, minorFaults: faults)
  }

  /// Measures the lease, QEMU on it, and the accesses to its pages; the lease's file is open no
  /// longer when this returns.
  private func useLease(
    of reservoir: Reservoir,
    _ time: (Part, () throws(HoldfastError) -> Int64?) throws(HoldfastError) -> Void,
    _ count: (Part, Double, Int64?) -> Void, _ progress: () throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    var kept: (lease: Lease, seconds: Double)?
    try time(.leased) { () throws(HoldfastError) in
      let start = Instant.now
      let lease = try lease(reservoir)
      kept = (lease, (Instant.now - start).seconds)
      return try self.start(leased(lease), keeping: lease.descriptor)
    }
    guard let (lease, seconds) = kept else { return }
    count(.lease, seconds, nil)
    try progress()
    let touched = try touch(lease)
    count(.touch, touched.seconds, touched.faults)
    withExtendedLifetime(lease) {}
  }

  // MARK: The steps

  private func fill(_ reservoir: Reservoir) throws(HoldfastError) {
    _ = try reservoir.fill(
      FillPlan([.init(count: 1, size: memory)]), options: FillOptions(threads: threads))
  }

  private func lease(_ reservoir: Reservoir) throws(HoldfastError) -> Lease {
    var request = LeaseRequest(size: memory, name: try LeaseName("bench"))
    request.isHeld = true
    return try reservoir.lease(request)
  }

  private func touch(
    _ lease: Lease
  ) throws(HoldfastError) -> (seconds: Double, faults: Int64) {
    do throws(Errno) {
      return try ResidentFile.touch(
        lease.descriptor, length: memory.rawValue, pageSize: pageSize.rawValue)
    } catch {
      throw HoldfastError(
        .host, operation: "map \(lease.receipt.path)", reason: "mmap(2) failed",
        errno: error.rawValue)
    }
  }

  private func recycle(_ reservoir: Reservoir) throws(HoldfastError) {
    let end = try reservoir.recycle(
      LeaseName("bench"), options: RecycleOptions(reuse: .scrub, threads: threads))
    guard case .recycled = end else {
      throw failure("the lease was not recycled")
    }
  }

  private var size: String { memory.shortDescription }

  private func leased(_ lease: Lease) -> String {
    "memory-backend-file,id=ram,size=\(size),mem-path=\(lease.receipt.path),share=on,prealloc=off"
  }

  private var preallocated: String {
    "memory-backend-memfd,id=ram,size=\(size),share=on,hugetlb=on,"
      + "hugetlbsize=\(pageSize.shortDescription),prealloc=on,prealloc-threads=\(threads)"
  }

  /// Starts QEMU with some memory and waits until it has ended.
  ///
  /// - Returns: its minor page faults.
  private func start(
    _ memory: String, keeping descriptor: Int32? = nil
  ) throws(HoldfastError) -> Int64 {
    try qemu(
      [
        "-nodefaults", "-no-user-config", "-display", "none", "-S", "-m", size, "-object", memory,
        "-machine", "q35,accel=\(accelerator),memory-backend=ram", "-qmp", "stdio",
      ], keeping: descriptor
    ).faults
  }

  private func failure(
    _ reason: String, errno: Errno? = nil, advice: Advice? = nil
  ) -> HoldfastError {
    HoldfastError(
      .host, operation: "run \(program)", reason: reason, errno: errno?.rawValue, advice: advice)
  }

  /// Runs QEMU, whose input tells it to quit.
  ///
  /// - Returns: its output, and its minor page faults.
  private func qemu(
    _ arguments: [String], keeping descriptor: Int32? = nil
  ) throws(HoldfastError) -> (output: String, faults: Int64) {
    let quit = #"{"execute":"qmp_capabilities"}{"execute":"quit"}"#
    let ended: (status: Int32, output: String, faults: Int64)
    do throws(Errno) {
      ended = try EndedProgram.run([program] + arguments, input: quit, keeping: descriptor)
    } catch {
      throw failure(
        "it cannot be started", errno: error,
        advice: .run(["apt-get", "install", "qemu-system-x86"], asRoot: true))
    }
    guard ended.status == 0 else {
      // QEMU's own message, without its answers to QMP.
      let line = ended.output.split(separator: "\n").last { !$0.hasPrefix("{") }
      throw failure("it ended with status \(ended.status)" + (line.map { ": \($0)" } ?? ""))
    }
    return (ended.output, ended.faults)
  }
}
