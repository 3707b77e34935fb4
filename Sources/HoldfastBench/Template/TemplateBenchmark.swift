internal import Holdfast
public import HoldfastCore
internal import HoldfastKVM
public import HoldfastLinux
internal import HoldfastTemplate
internal import SystemPackage

/// Measures clones of a template: how long one takes to its first touch, and how long a guest
/// program takes that touches a tenth of its memory in a random order, the same in each clone, with
/// and without pages that are read ahead.
public struct TemplateBenchmark: Sendable {
  /// The size of the template, and of the arena that the clones share.
  public var memory: ByteCount
  /// The folder or mount that the template is made in.
  public var mount: String
  /// The backing of the arena; nil for the best that the host offers.
  public var backing: Backing?
  /// What a page fault of a clone copies.
  public var granularity: FaultGranularity
  /// The number of counted runs.
  public var runs: Int
  /// Threads that populate memory and save the template.
  public var threads: Int
  /// Threads that read pages ahead.
  public var prefetchThreads: Int
  /// What the host offers.
  public var host: HostCapabilities

  /// Creates a benchmark; the parameters are the properties.
  public init(
    memory: ByteCount, mount: String, backing: Backing? = nil,
    granularity: FaultGranularity = .largePage, runs: Int, threads: Int, prefetchThreads: Int = 2,
    host: HostCapabilities
  ) {
    self.memory = memory
    self.mount = mount
    self.backing = backing
    self.granularity = granularity
    self.runs = runs
    self.threads = threads
    self.prefetchThreads = prefetchThreads
    self.host = host
  }

  /// How a clone gets its pages.
  public enum Way: String, Hashable, Sendable, CaseIterable {
    /// Each page when it is touched.
    case onDemand = "on demand"
    /// The working set is read ahead.
    case resident = "read ahead"
    /// The working set is read and entered ahead.
    case entered = "entered ahead"
    /// All memory is read before the guest starts; no clone, but a copy.
    case copied = "copied"
  }

  /// The values of one way, one for each run.
  public struct Measurement: Sendable {
    /// The way.
    public let way: Way
    /// From the start of the clone to the end of the program.
    public internal(set) var totalSeconds: [Double] = []
    /// From the start of the clone until its machine could run.
    public internal(set) var startSeconds: [Double] = []
    /// The program alone.
    public internal(set) var programSeconds: [Double] = []
    /// Page faults that handler threads served.
    public internal(set) var faults: [Int] = []
    /// Page faults that read a page.
    public internal(set) var pagedFaults: [Int] = []
    /// Bytes that were read ahead.
    public internal(set) var readAheadBytes: [UInt64] = []
    /// Page faults that met a page that had been read ahead, and others.
    public internal(set) var metTouches: [Int] = []
    /// See ``metTouches``.
    public internal(set) var missedTouches: [Int] = []
  }

  /// What was measured.
  public struct Result: Sendable {
    /// The size of the template.
    public let memory: ByteCount
    /// The folder that it was in.
    public let mount: String
    /// The backing of the arena.
    public let backing: Backing
    /// The bytes that a page fault copies.
    public let pageSize: ByteCount
    /// How many words the program touches, each in another page.
    public let touches: Int
    /// The number of counted runs.
    public let runs: Int
    /// How long the guest's memory took to seal.
    public let sealSeconds: Double
    /// From the start of a clone to the end of its first touch.
    public let firstTouchSeconds: [Double]
    /// The measurements, one for each way.
    public let measurements: [Measurement]
    /// Why better backings were passed over.
    public let fallbacks: [String]
  }

  private static let seed: UInt64 = 5
  static let name = "bench-" + String(UInt64.random(in: 0 ... .max), radix: 36)

  /// Runs the benchmark: the ways alternate, and each run begins with another one. A first run is a
  /// warm-up that does not count. The template is removed at the end.
  ///
  /// - Parameters:
  ///   - cancellation: ends the benchmark, with the code `cancelled`.
  ///   - progress: called before each step.
  /// - Throws: `HoldfastError` if KVM is not usable, if memory or space for the template is short,
  ///   if a clone fails, or if its memory is not the template's.
  public func run(
    cancellation: CancellationToken = CancellationToken(),
    progress: (BenchmarkStep) -> Void = { _ in }
  ) throws(HoldfastError) -> Result {
    let store = try TemplateStore(mount: mount)
    let name = try TemplateName(Self.name)
    let result: Result
    do throws(HoldfastError) {
      result = try measure(store, name, cancellation, progress)
    } catch {
      _ = try? store.remove(name)
      throw error
    }
    _ = try store.remove(name)
    return result
  }

  private func measure(
    _ store: TemplateStore, _ name: TemplateName, _ cancellation: CancellationToken,
    _ progress: (BenchmarkStep) -> Void
  ) throws(HoldfastError) -> Result {
    let count = 2 + (runs + 1) * Way.allCases.count
    progress(BenchmarkStep(run: 0, name: BenchmarkStep.arena, number: 0, count: count))
    let arena = try Arena(
      size: memory, for: .paging, backing: backing, host: host, threads: threads)
    let layout = try RAMLayout(size: memory)
    progress(BenchmarkStep(run: 0, name: "seal", number: 1, count: count))
    let (template, sealSeconds) = try seal(arena, layout, store, name, cancellation)
    let task = task(layout, arena)
    let touches = try record(template, arena, layout, task)
    var measurements = Way.allCases.map { Measurement(way: $0) }
    var firstTouches: [Double] = []
    var number = 2
    for run in 0...runs {
      if run > 0 { firstTouches.append(try firstTouch(template, arena, layout)) }
      for step in measurements.indices {
        try cancellation.throwIfCancelled("measure clones of a template")
        let index = (step + run) % measurements.count
        let way = measurements[index].way
        progress(BenchmarkStep(run: run, name: way.rawValue, number: number, count: count))
        number += 1
        var discarded = Measurement(way: way)
        if run == 0 {
          try measure(template, arena, layout, task, into: &discarded)
        } else {
          try measure(template, arena, layout, task, into: &measurements[index])
        }
      }
    }
    let unit = task.stride.rawValue / 10
    return Result(
      memory: memory, mount: mount, backing: arena.backing, pageSize: ByteCount(unit),
      touches: Int(clamping: touches), runs: runs,
      sealSeconds: sealSeconds, firstTouchSeconds: firstTouches, measurements: measurements,
      fallbacks: arena.preparation.fallbacks)
  }

  /// A guest that has written to each page, sealed.
  private func seal(
    _ arena: Arena, _ layout: RAMLayout, _ store: TemplateStore, _ name: TemplateName,
    _ cancellation: CancellationToken
  ) throws(HoldfastError) -> (Template, seconds: Double) {
    let guest = try GuestMemory(
      arena: arena, limit: layout.limit, demandPaging: DemandPaging(), host: host)
    try guest.mapRAM(layout)
    let filled = try GuestProgram.fill.run(
      on: guest, over: layout.pieces.map(\.range), seed: Self.seed)
    guard filled.isComplete else {
      throw HoldfastError(
        .guestFault, operation: "fill a guest's memory", reason: "the guest stopped early")
    }
    let (template, receipt) = try guest.seal(
      guest.addresses, to: store, as: name, threads: threads, cancellation: cancellation)
    return (template, receipt.duration.seconds)
  }

  /// A program that touches one word in every tenth page that a page fault copies.
  private func task(_ layout: RAMLayout, _ arena: Arena) -> GuestTask {
    let page = granularity == .largePage ? ByteCount.mebibytes(2) : .kibibytes(64)
    let unit = max(page, arena.geometry.pageSize)
    return GuestTask(
      .walkCheck, over: layout.pieces.map(\.range), stride: ByteCount(unit.rawValue * 10),
      seed: Self.seed)
  }

  private func clone(
    _ template: Template, _ arena: Arena, _ layout: RAMLayout, _ options: WorkingSetOptions
  ) throws(HoldfastError) -> GuestMemory {
    let guest = try GuestMemory(
      arena: arena, limit: layout.limit,
      demandPaging: DemandPaging(granularity: granularity), host: host)
    let segment = try guest.cloneSegment("ram", of: template, workingSet: options)
    for piece in layout.pieces {
      try guest.map(
        segment, at: piece.range.start, offset: piece.range.start - .zero,
        length: piece.range.length)
    }
    return guest
  }

  /// Runs the program once, keeps the order of its touches with the template, and returns how many
  /// there were.
  private func record(
    _ template: Template, _ arena: Arena, _ layout: RAMLayout, _ task: GuestTask
  ) throws(HoldfastError) -> UInt64 {
    let guest = try clone(
      template, arena, layout,
      WorkingSetOptions(
        recording: .always, recordingTime: .seconds(3600), prefetching: .off))
    let found = try check(try GuestRunner(memory: guest).run(task))
    try guest.keepWorkingSets()
    return found.touches
  }

  private func firstTouch(
    _ template: Template, _ arena: Arena, _ layout: RAMLayout
  ) throws(HoldfastError) -> Double {
    let start = Instant.now
    let guest = try clone(template, arena, layout, .off)
    GuestBytes.store(1, guest, at: Address(memory.rawValue / 4))
    return (Instant.now - start).seconds
  }

  private func measure(
    _ template: Template, _ arena: Arena, _ layout: RAMLayout, _ task: GuestTask,
    into measurement: inout Measurement
  ) throws(HoldfastError) {
    let start = Instant.now
    let guest: GuestMemory
    if measurement.way == .copied {
      guest = try copy(template, arena, layout)
    } else {
      let prefetching: WorkingSetOptions.Prefetching =
        switch measurement.way {
        case .resident: .resident
        case .entered: .entered
        case .onDemand, .copied: .off
        }
      guest = try clone(
        template, arena, layout,
        WorkingSetOptions(
          recording: .never, prefetching: prefetching, threads: prefetchThreads))
    }
    let runner = try GuestRunner(memory: guest)
    let ready = Instant.now
    let found = try check(try runner.run(task))
    measurement.totalSeconds.append((Instant.now - start).seconds)
    measurement.startSeconds.append((ready - start).seconds)
    measurement.programSeconds.append(found.duration.seconds)
    guest.waitForPrefetching()
    let statistics = guest.faultHandler?.statistics
    measurement.faults.append(
      Int(clamping: (statistics?.demandFaults ?? 0) + (statistics?.processorFaults ?? 0)))
    measurement.pagedFaults.append(Int(clamping: statistics?.pagedFaults ?? 0))
    let receipt = guest.cloneReceipts.first
    measurement.readAheadBytes.append(receipt?.readAheadBytes.rawValue ?? 0)
    measurement.metTouches.append(receipt?.metTouches ?? 0)
    measurement.missedTouches.append(receipt?.missedTouches ?? 0)
  }

  /// A guest whose memory is read whole before it starts.
  private func copy(
    _ template: Template, _ arena: Arena, _ layout: RAMLayout
  ) throws(HoldfastError) -> GuestMemory {
    let guest = try GuestMemory(
      arena: arena, limit: layout.limit,
      demandPaging: DemandPaging(granularity: granularity), host: host)
    let segment = try guest.restoreSegment(
      "ram", from: template.memoryPath, prefetch: .prefetched(threads: threads))
    for piece in layout.pieces {
      try guest.map(
        segment, at: piece.range.start, offset: piece.range.start - .zero,
        length: piece.range.length)
    }
    return guest
  }

  private func check(_ result: GuestResult) throws(HoldfastError) -> GuestResult {
    guard result.isComplete, result.wrongWords == 0 else {
      throw HoldfastError(
        .guestFault, operation: "check the memory of a clone", address: result.firstWrong,
        reason: "\(result.wrongWords) words are not the template's")
    }
    return result
  }
}

extension CancellationToken {
  fileprivate func throwIfCancelled(_ operation: String) throws(HoldfastError) {
    guard isCancelled else { return }
    throw HoldfastError(.cancelled, operation: operation, reason: "the caller cancelled it")
  }
}
