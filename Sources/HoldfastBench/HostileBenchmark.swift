internal import Holdfast
public import HoldfastCore
public import HoldfastLinux
internal import Synchronization
internal import SystemPackage

/// Measures what a guest's faults cost while other guests of the same process do their worst.
public struct HostileBenchmark: Sendable {
  /// Nil for the best that the host offers.
  public var backing: Backing?
  /// How many faults a median is of.
  public var faults: Int
  public var threads: Int
  public var host: HostCapabilities

  public init(backing: Backing?, faults: Int, threads: Int, host: HostCapabilities) {
    self.backing = backing
    self.faults = faults
    self.threads = threads
    self.host = host
  }

  /// What every guest has; the arena has four times as much.
  public static let guestMemory = ByteCount.mebibytes(64)

  /// What the other guest does all the time.
  public enum Act: String, Hashable, Sendable, CaseIterable {
    /// Touches addresses where nothing is mapped, and is told to try again.
    case unmapped
    /// Writes where it may only read, and is told to try again.
    case readOnly = "read-only"
    /// Touches memory that its monitor maps and unmaps without end.
    case unmapping
    /// Writes to its memory while its monitor forks it without end.
    case forking
  }

  public struct Measurement: Sendable {
    public let act: Act
    /// Of a fault of the other guest, in seconds: right before, and meanwhile.
    public let quiet: Double
    public let hostile: Double
    /// Faults that the hostile guest had taken by then.
    public let hostileFaults: UInt64
    /// What the books of all guests have wrong afterwards.
    public let problems: [String]

    public var ratio: Double { hostile / quiet }
  }

  public struct Result: Sendable {
    public let backing: Backing
    public let faults: Int
    public let measurements: [Measurement]
  }

  /// - Parameter progress: called before each act.
  /// - Throws: where memory or threads cannot be had.
  public func run(progress: (Act) -> Void = { _ in }) throws(HoldfastError) -> Result {
    let arena: Arena
    arena = try Arena(
      size: ByteCount(4 * Self.guestMemory.rawValue), for: .paging, backing: backing, host: host,
      threads: threads)
    let victim = try Victim(arena, host)
    // The first faults are slower.
    _ = try victim.median(of: 32)
    var measurements: [Measurement] = []
    for act in Act.allCases {
      progress(act)
      let quiet = try victim.median(of: faults)
      let guest = try HostileGuest(act, arena, host)
      // Until it is at its worst.
      while guest.faults < 10, !guest.isOver { WorkPause.moment() }
      let hostile: Double
      do {
        hostile = try victim.median(of: faults)
      } catch {
        guest.end()
        throw error
      }
      guest.end()
      measurements.append(
        Measurement(
          act: act, quiet: quiet, hostile: hostile, hostileFaults: guest.faults,
          problems: guest.problems + guest.memory.invariantProblems(with: [victim.memory])))
    }
    return Result(backing: arena.backing, faults: faults, measurements: measurements)
  }
}

/// The guest that suffers: its faults are taken and timed by the thread that asks.
private struct Victim {
  let memory: GuestMemory
  private let all = AddressRange(.zero, .zero + HostileBenchmark.guestMemory)

  init(_ arena: Arena, _ host: HostCapabilities) throws(HoldfastError) {
    memory = try GuestMemory(
      arena: arena, limit: HostileBenchmark.guestMemory, demandPaging: DemandPaging(), host: host)
  }

  /// The middle of so many faults, each of a large page.
  func median(of count: Int) throws(HoldfastError) -> Double {
    let clock = ContinuousClock()
    var seconds: [Double] = []
    while seconds.count < count {
      // The pages go with the mapping, so that each round's are new.
      let ram = try memory.allocateSegment("ram", size: HostileBenchmark.guestMemory)
      try memory.map(ram, at: .zero)
      try memory.freeSegment(ram)
      for page in 0..<all.length.rawValue >> 21 where seconds.count < count {
        let start = clock.now
        GuestBytes.store(1, memory, at: Address(page << 21))
        seconds.append((clock.now - start).seconds)
      }
      try memory.unmap(all)
    }
    return HoldfastBench.median(seconds) ?? 0
  }
}

/// A guest that misbehaves on threads of its own until it is told to end.
private final class HostileGuest: Sendable {
  let memory: GuestMemory
  private let ram: MemorySegment
  private let shared: Shared
  private let threads: [BackgroundThread]
  private static let all = AddressRange(.zero, .zero + HostileBenchmark.guestMemory)

  final class Shared: Sendable {
    let isOver = Atomic<Bool>(false)
    let lock = Lock()
    /// Protected by `lock`.
    nonisolated(unsafe) var problems: [String] = []

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
        shared.isOver.load(ordering: .acquiring) ? .refuse : .retry
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
        GuestBytes.storeByKernel(memory, at: Address(page << 21))
        page = (page + 1) % (HostileBenchmark.guestMemory.rawValue >> 21)
      }
    }
    let monitor: @Sendable () -> Void = {
      while !shared.isOver.load(ordering: .acquiring) {
        do throws(HoldfastError) {
          switch act {
          case .unmapped, .readOnly: return
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

  func end() {
    shared.isOver.store(true, ordering: .releasing)
    for thread in threads { thread.join() }
  }
}
