public import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import SystemPackage

/// Measures QEMU's time from start to end with guest memory that is leased, against memory that QEMU
/// brings in itself, as fast as it can.
///
/// Both have the same arguments but for the memory: a machine that is stopped before its first
/// instruction (`-S`) and told to quit on its monitor. Each run measures both, in an order that changes
/// from run to run; a first run is not counted. No more than one guest's memory is taken at a time: the
/// reservoir's file is filled right before it is leased, and drained afterwards. What filling and
/// recycling take is measured too.
public struct QEMUBenchmark: Sendable {
  /// The guest's memory.
  public var memory: ByteCount
  /// Huge pages of this size.
  public var pageSize: ByteCount
  /// Counted runs.
  public var runs: Int
  /// QEMU's `prealloc-threads`, and the reservoir's threads.
  public var threads: Int
  /// QEMU, as the shell would look for it.
  public var program: String
  /// QEMU's accelerator.
  public var accelerator: String

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

  /// Why it could not be measured, in one line.
  public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
      self.description = description
    }
  }

  /// What is measured, in seconds.
  public enum Part: String, Hashable, Sendable, CaseIterable {
    /// QEMU on memory that it brings in: from its start until it has ended.
    case prealloc
    /// The lease and QEMU on it: from before the lease until QEMU has ended.
    case leased
    /// The lease alone, a part of `leased`.
    case lease
    /// Scrubbing the memory and making it ready again, afterwards.
    case recycle
    /// Bringing the memory in, beforehand.
    case fill
  }

  /// What is about to be done.
  public struct Step: Hashable, Sendable {
    /// From 1; 0 is the warm-up.
    public let run: Int
    public let part: Part
    /// How many steps come before it, of how many in all runs.
    public let number: Int
    public let count: Int
  }

  public struct Result: Sendable {
    public let memory: ByteCount
    public let pageSize: ByteCount
    public let runs: Int
    public let threads: Int
    /// What QEMU calls itself.
    public let version: String
    public let accelerator: String
    /// A value a run, of each part.
    public let seconds: [Part: [Double]]

    public subscript(_ part: Part) -> [Double] { seconds[part] ?? [] }
  }

  /// What QEMU calls itself.
  ///
  /// - Throws: ``Problem`` where it cannot be run.
  public func version() throws(Problem) -> String {
    let lines = try qemu(["--version"]).split(separator: "\n")
    return lines.first.map(String.init) ?? program
  }

  /// Runs all of it, on a hugetlbfs of its own that nobody else sees and that goes with the process. For
  /// root. The calling thread does not see the host's new mounts from then on.
  ///
  /// - Parameter progress: called before each step.
  public func run(progress: (Step) -> Void = { _ in }) throws(Problem) -> Result {
    let version = try version()
    let mount: String
    do throws(Errno) {
      mount = try HugetlbMounts.mountForThisThread(pageSize: pageSize)
    } catch {
      throw Problem(
        "cannot mount a hugetlbfs of pages of \(pageSize): \(error); try: "
          + (error == .notPermitted ? "sudo" : "another --hugepage-size, and holdfast host"))
    }
    defer { try? HugetlbMounts.unmount(mount) }
    do throws(HoldfastError) {
      // Its open folders keep the mount, so they go before it.
      let reservoir = try Reservoir.create(mount: mount)
      return try perform(reservoir, version, progress)
    } catch {
      throw Problem(error.description)
    }
  }

  private func perform(
    _ reservoir: Reservoir, _ version: String, _ progress: (Step) -> Void
  ) throws(HoldfastError) -> Result {
    var seconds: [Part: [Double]] = [:]
    var number = 0
    for run in 0...runs {
      func time(
        _ part: Part, _ body: () throws(HoldfastError) -> Void
      ) throws(HoldfastError) {
        if part != .lease {
          progress(Step(run: run, part: part, number: number, count: (runs + 1) * 4))
          number += 1
        }
        let start = ContinuousClock.now
        try body()
        let end = ContinuousClock.now
        if run > 0 { seconds[part, default: []].append((end - start).seconds) }
      }
      // The reservoir first: where pages are missing its error is the better one.
      let isFirst = !run.isMultiple(of: 2)
      if isFirst { try time(.prealloc) { () throws(HoldfastError) in try start(preallocated) } }
      try time(.fill) { () throws(HoldfastError) in try fill(reservoir) }
      try time(.leased) { () throws(HoldfastError) in
        var lease: Lease?
        try time(.lease) { () throws(HoldfastError) in lease = try self.lease(reservoir) }
        guard let lease else { return }
        try start(leased(lease), keeping: lease.descriptor)
        withExtendedLifetime(lease) {}
      }
      try time(.recycle) { () throws(HoldfastError) in try recycle(reservoir) }
      _ = try reservoir.drain()
      if !isFirst { try time(.prealloc) { () throws(HoldfastError) in try start(preallocated) } }
    }
    return Result(
      memory: memory, pageSize: pageSize, runs: runs, threads: threads, version: version,
      accelerator: accelerator, seconds: seconds)
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

  private func recycle(_ reservoir: Reservoir) throws(HoldfastError) {
    let end = try reservoir.recycle(LeaseName("bench"), options: RecycleOptions(threads: threads))
    guard case .recycled = end else {
      throw failure("its memory could not be recycled")
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
  private func start(
    _ memory: String, keeping descriptor: Int32? = nil
  ) throws(HoldfastError) {
    do throws(Problem) {
      _ = try qemu(
        [
          "-nodefaults", "-no-user-config", "-display", "none", "-S", "-m", size, "-object", memory,
          "-machine", "q35,accel=\(accelerator),memory-backend=ram", "-qmp", "stdio",
        ], keeping: descriptor)
    } catch {
      throw failure(error.description)
    }
  }

  private func failure(_ reason: String) -> HoldfastError {
    HoldfastError(.host, operation: "measure QEMU with \(memory)", reason: reason)
  }

  /// Runs QEMU, which is told to quit by the first that it reads.
  ///
  /// - Returns: what it writes.
  private func qemu(
    _ arguments: [String], keeping descriptor: Int32? = nil
  ) throws(Problem) -> String {
    let quit = #"{"execute":"qmp_capabilities"}{"execute":"quit"}"#
    let ended: (status: Int32, output: String)
    do throws(Errno) {
      ended = try EndedProgram.run([program] + arguments, input: quit, keeping: descriptor)
    } catch {
      throw Problem(
        "cannot run \(program): \(error); try: apt-get install qemu-system-x86, or --qemu <program>"
      )
    }
    guard ended.status == 0 else {
      // QEMU's own words, without what it says on its monitor.
      let line = ended.output.split(separator: "\n").last { !$0.hasPrefix("{") }
      throw Problem("\(program) ended with status \(ended.status)" + (line.map { ": \($0)" } ?? ""))
    }
    return ended.output
  }
}
