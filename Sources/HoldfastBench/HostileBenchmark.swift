internal import Holdfast
public import HoldfastCore
public import HoldfastLinux
internal import Synchronization
internal import SystemPackage

/// Measures the time of a guest's page faults while a hostile guest of the same process faults, or
/// changes its memory, as fast as it can.
public struct HostileBenchmark: Sendable {
  /// The backing of the arena, or nil for the best that the host offers.
  public var backing: Backing?
  /// The number of page faults of each median.
  public var faults: Int
  /// The number of threads that populate and zero the arena.
  public var threads: Int
  /// What the host offers.
  public var host: HostCapabilities

  /// Creates a benchmark; the parameters are the properties.
  public init(backing: Backing?, faults: Int, threads: Int, host: HostCapabilities) {
    self.backing = backing
    self.faults = faults
    self.threads = threads
    self.host = host
  }

  /// The memory of each guest. The arena has four times as much.
  public static let guestMemory = ByteCount.mebibytes(64)

  /// What the hostile guest does until the measurement ends.
  public enum Act: String, Hashable, Sendable, CaseIterable {
    /// Writes to addresses where nothing is mapped; each failed page fault is retried.
    case unmapped
    /// Writes to memory that it may only read; each failed page fault is retried.
    case readOnly = "read-only"
    /// Writes to memory that its monitor maps and unmaps repeatedly.
    case unmapping
    /// Writes to its memory while its monitor forks it repeatedly.
    case forking
  }

  /// The result of one act.
  public struct Measurement: Sendable {
    /// What the hostile guest did.
    public let act: Act
    /// The median seconds of the measured guest's page fault while the hostile guest pauses.
    public let quiet: Double
    /// The same while the hostile guest runs.
    public let hostile: Double
    /// The time while the hostile guest runs over the time while it pauses, of each round.
    public let rounds: PairedRatio?
    /// The page faults of the hostile guest until the end of the measurement.
    public let hostileFaults: UInt64
    /// The invariants of both guests that do not hold afterwards, and errors of the hostile guest's
    /// monitor.
    public let problems: [String]

    /// The median of the rounds' ratios.
    public var ratio: Double { rounds?.median ?? hostile / quiet }
  }

  /// Quiet and hostile page faults alternate in so many rounds, so that what slows the host down
  /// slows down both.
  static let rounds = 8

  /// The results of all acts.
  public struct Result: Sendable {
    /// The backing of the arena.
    public let backing: Backing
    /// The number of page faults of each median.
    public let faults: Int
    /// One measurement for each act, in the order of `Act.allCases`.
    public let measurements: [Measurement]
  }

  /// Runs all acts, one after another.
  ///
  /// - Parameter progress: called before each act.
  /// - Throws: `HoldfastError` where the arena, a guest or a thread cannot be created.
  public func run(progress: (Act) -> Void = { _ in }) throws(HoldfastError) -> Result {
    let arena: Arena
    arena = try Arena(
      size: ByteCount(4 * Self.guestMemory.rawValue), for: .paging, backing: backing, host: host,
      threads: threads)
    let victim = try Victim(arena, host)
    // The first faults are slower.
    _ = try victim.seconds(of: 32)
    var measurements: [Measurement] = []
    for act in Act.allCases {
      progress(act)
      let guest = try HostileGuest(act, arena, host)
      let measured: (quiet: [[Double]], hostile: [[Double]])
      do throws(HoldfastError) {
        measured = try alternate(victim, guest, arena)
      } catch {
        guest.end()
        throw error
      }
      guest.end()
      measurements.append(
        Measurement(
          act: act, quiet: HoldfastBench.median(measured.quiet.flatMap { $0 }) ?? 0,
          hostile: HoldfastBench.median(measured.hostile.flatMap { $0 }) ?? 0,
          rounds: PairedRatio(
            baseline: measured.quiet.compactMap(HoldfastBench.median),
            candidate: measured.hostile.compactMap(HoldfastBench.median)),
          hostileFaults: guest.faults,
          problems: guest.problems + guest.memory.invariantProblems(with: [victim.memory])))
    }
    return Result(backing: arena.backing, faults: faults, measurements: measurements)
  }

  /// The seconds of page faults, in rounds, while the hostile guest pauses and while it runs.
  private func alternate(
    _ victim: Victim, _ guest: HostileGuest, _ arena: Arena
  ) throws(HoldfastError) -> (quiet: [[Double]], hostile: [[Double]]) {
    var measured: (quiet: [[Double]], hostile: [[Double]]) = ([], [])
    let count = max(1, faults / Self.rounds)
    for _ in 0..<Self.rounds {
      guest.pause()
      // A page fault zeroes its page in both cases.
      arena.memory.forgetZeroedFrames()
      measured.quiet.append(try victim.seconds(of: count))
      let before = guest.faults
      guest.proceed()
      // Until the hostile guest causes page faults.
      while guest.faults < before + 10, !guest.isOver { WorkPause.moment() }
      measured.hostile.append(try victim.seconds(of: count))
    }
    return measured
  }
}

/// The guest that is measured. The calling thread takes and times its page faults.
private struct Victim {
  let memory: GuestMemory
  private let all = AddressRange(from: .zero, to: .zero + HostileBenchmark.guestMemory)

  init(_ arena: Arena, _ host: HostCapabilities) throws(HoldfastError) {
    memory = try GuestMemory(
      arena: arena, limit: HostileBenchmark.guestMemory, demandPaging: DemandPaging(), host: host)
  }

  /// The seconds of `count` page faults, each of a 2 MiB page.
  func seconds(of count: Int) throws(HoldfastError) -> [Double] {
    var seconds: [Double] = []
    while seconds.count < count {
      // The pages are freed with the mapping, so that those of each round are new.
      let ram = try memory.allocateSegment("ram", size: HostileBenchmark.guestMemory)
      try memory.map(ram, at: .zero)
      try memory.freeSegment(ram)
      for page in 0..<all.length.rawValue >> 21 where seconds.count < count {
        let start = Instant.now
        GuestBytes.store(1, memory, at: Address(page << 21))
        seconds.append((Instant.now - start).seconds)
      }
      try memory.unmap(all)
    }
    return seconds
  }
}

/// A guest that performs an act on its threads until `end()`, except while it pauses.
private final class HostileGuest: Sendable {
  let memory: GuestMemory
  private let ram: MemorySegment
  private let shared: Shared
  private let threads: [BackgroundThread]
  private static let all = AddressRange(from: .zero, to: .zero + HostileBenchmark.guestMemory)

  final class Shared: Sendable {
    let isOver = Atomic<Bool>(false)
    let isPaused = Atomic<Bool>(false)
    /// The threads that have noticed that they are to pause.
    let paused = Atomic<Int>(0)
    let lock = Lock()
    /// Protected by `lock`.
    nonisolated(unsafe) var problems: [String] = []

    /// Waits while the guest pauses.
    func pauseIfAsked() {
      guard isPaused.load(ordering: .acquiring) else { return }
      paused.wrappingAdd(1, ordering: .acquiringAndReleasing)
      while isPaused.load(ordering: .acquiring), !isOver.load(ordering: .acquiring) {
        WorkPause.moment()
      }
      paused.wrappingSubtract(1, ordering: .acquiringAndReleasing)
    }

    func report(_ problem: String) {
      lock.withLock { if unsafe problems.count < 8 { unsafe problems.append(problem) } }
    }
  }

  init(
    _ act: HostileBenchmark.Act, _ arena: Arena, _ host: HostCapabilities
  ) throws(HoldfastError) {
    let shared = Shared()
    self.shared = shared
    let memory = try GuestMemory(
      arena: arena, limit: HostileBenchmark.guestMemory,
      demandPaging: DemandPaging { _ in
        shared.isOver.load(ordering: .acquiring) || shared.isPaused.load(ordering: .acquiring)
          ? .refuse : .retry
      }, host: host)
    self.memory = memory
    let ram = try memory.allocateSegment("ram", size: HostileBenchmark.guestMemory)
    self.ram = ram
    switch act {
    case .unmapped: break
    case .readOnly: try memory.map(ram, at: .zero, protection: .read)
    case .unmapping, .forking: try memory.map(ram, at: .zero)
    }
    let touch: @Sendable () -> Void = {
      var page: UInt64 = 0
      while !shared.isOver.load(ordering: .acquiring) {
        shared.pauseIfAsked()
        GuestBytes.storeByKernel(memory, at: Address(page << 21))
        page = (page + 1) % (HostileBenchmark.guestMemory.rawValue >> 21)
      }
    }
    let monitor: @Sendable () -> Void = {
      while !shared.isOver.load(ordering: .acquiring) {
        do throws(HoldfastError) {
          shared.pauseIfAsked()
          switch act {
          case .unmapped, .readOnly: WorkPause.moment()
          case .unmapping:
            try memory.unmap(Self.all)
            try memory.map(ram, at: .zero)
          case .forking: _ = try memory.fork()
          }
        } catch {
          return shared.report("\(error)")
        }
      }
    }
    var threads: [BackgroundThread] = []
    do {
      for body in [touch, monitor] {
        threads.append(try BackgroundThread("holdfast-bad", body))
      }
    } catch {
      shared.isOver.store(true, ordering: .releasing)
      for thread in threads { thread.join() }
      throw HoldfastError(
        .resourceShortage, operation: "make a hostile guest", reason: "no thread can be made",
        errno: error.rawValue)
    }
    self.threads = threads
  }

  var faults: UInt64 {
    let statistics = memory.faultHandler?.statistics
    return (statistics?.demandFaults ?? 0) + (statistics?.copyFaults ?? 0)
  }
  var isOver: Bool { !problems.isEmpty }
  var problems: [String] { shared.lock.withLock { unsafe shared.problems } }

  /// Returns when both threads pause; a thread that has failed does nothing either.
  func pause() {
    shared.isPaused.store(true, ordering: .releasing)
    while shared.paused.load(ordering: .acquiring) < 2, !isOver { WorkPause.moment() }
  }

  func proceed() { shared.isPaused.store(false, ordering: .releasing) }

  func end() {
    shared.isOver.store(true, ordering: .releasing)
    for thread in threads { thread.join() }
  }
}
