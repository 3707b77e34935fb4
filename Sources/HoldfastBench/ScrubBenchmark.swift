internal import CHoldfastBench
internal import Holdfast
public import HoldfastCore
public import HoldfastLinux
internal import SystemPackage

/// Wires a guest's memory twice, with a guest between that has written to all of it, and has a scrubber
/// zero it in the background once that guest is gone.
public struct ScrubBenchmark: Sendable {
  public var memory: ByteCount
  /// Nil for the best that the host offers.
  public var backing: Backing?
  /// Threads that bring memory in, and that the guest writes with.
  public var threads: Int
  public var scrubbing: Scrubber.Options
  /// The NUMA nodes that the memory comes from, nil for all, and how the guests take it from them.
  public var nodes: HostNodes?
  public var guestPolicy: DomainPolicy
  public var host: HostCapabilities

  public init(
    memory: ByteCount, backing: Backing?, threads: Int, scrubbing: Scrubber.Options,
    nodes: HostNodes? = nil, guestPolicy: DomainPolicy = .firstTouch, host: HostCapabilities
  ) {
    self.nodes = nodes
    self.guestPolicy = guestPolicy
    self.memory = memory
    self.backing = backing
    self.threads = threads
    self.scrubbing = scrubbing
    self.host = host
  }

  /// What is being done.
  public enum Step: String, Sendable, CaseIterable {
    case preparing = "preparing memory"
    case first = "wiring"
    case dirtying = "writing to all of it"
    case scrubbing = "scrubbing"
    case second = "wiring again"
    case checking = "checking that it is zero"
  }

  /// One of the two wirings.
  public struct Wiring: Sendable {
    public let seconds: Double
    public let zeroedAhead: ByteCount
    /// Zeroed while the guest waited.
    public let zeroedNow: ByteCount
  }

  public struct Result: Sendable {
    public let memory: ByteCount
    public let backing: Backing
    public let threads: Int
    public let arenaSeconds: Double
    public let first: Wiring
    /// How long the guest took to write to every byte.
    public let dirtySeconds: Double
    /// From the end of the guest until all was zero.
    public let scrubSeconds: Double
    public let statistics: Scrubber.Statistics
    public let second: Wiring
    /// Whether every byte of the second guest was zero.
    public let isZero: Bool
    public let fallbacks: [String]
  }

  /// Runs all of it.
  ///
  /// - Parameter progress: called before each step.
  /// - Throws: where the arena, the threads or the wirings cannot be had.
  public func run(progress: (Step) -> Void = { _ in }) throws(HoldfastError) -> Result {
    let clock = ContinuousClock()
    progress(.preparing)
    let arena: Arena
    let scrubber: Scrubber
    arena = try Arena(
      size: memory, backing: backing, nodes: nodes, host: host, threads: threads)
    scrubber = try Scrubber(memory: arena.memory, options: scrubbing)
    defer { scrubber.stop() }

    let (first, dirtySeconds) = try firstGuest(on: arena, progress)
    progress(.scrubbing)
    let start = clock.now
    while !scrubber.waitUntilZeroed(atMost: .seconds(3600)) {}
    let scrubSeconds = (clock.now - start).seconds
    let statistics = scrubber.statistics
    let (second, isZero) = try secondGuest(on: arena, progress)
    return Result(
      memory: arena.size, backing: arena.backing, threads: threads,
      arenaSeconds: arena.preparation.duration.seconds, first: first, dirtySeconds: dirtySeconds,
      scrubSeconds: scrubSeconds, statistics: statistics, second: second, isZero: isZero,
      fallbacks: arena.preparation.fallbacks)
  }

  /// A guest that writes to all of its memory and goes.
  private func firstGuest(
    on arena: Arena, _ progress: (Step) -> Void
  ) throws(HoldfastError) -> (Wiring, dirtySeconds: Double) {
    progress(.first)
    let (guest, wiring) = try wire(arena)
    progress(.dirtying)
    let seconds = hf_bench_fill(
      guest.hostAddress, Int(arena.size.rawValue), 0xA5, Int32(clamping: threads))
    guard seconds >= 0 else {
      throw HoldfastError(
        .host, operation: "write to the guest's memory",
        reason: "\(Errno(rawValue: Int32(-seconds)))", errno: Int32(-seconds))
    }
    return (wiring, seconds)
  }

  private func secondGuest(
    on arena: Arena, _ progress: (Step) -> Void
  ) throws(HoldfastError) -> (Wiring, isZero: Bool) {
    progress(.second)
    let (guest, wiring) = try wire(arena)
    progress(.checking)
    return (wiring, hf_bench_is_zero(guest.hostAddress, Int(arena.size.rawValue)) != 0)
  }

  /// A guest of all the memory, wired. Where guests are placed in the arena itself, what is zeroed when
  /// they are made is a part of it.
  private func wire(_ arena: Arena) throws(HoldfastError) -> (GuestMemory, Wiring) {
    let clock = ContinuousClock()
    let start = clock.now
    let guest = try GuestMemory(
      arena: arena, limit: arena.size, hostNUMANode: guestPolicy, host: host)
    let making = arena.backing.hasFile ? .zero : clock.now - start
    let segment = try guest.allocateSegment("ram", size: guest.limit)
    let receipt = try guest.map(segment, at: .zero, options: .wired)
    guard receipt.wiredBytes == guest.limit else {
      throw HoldfastError(
        .resourceShortage, operation: "wire a guest's memory",
        reason: "only \(receipt.wiredBytes) of \(guest.limit) were wired")
    }
    let before = guest.zeroedAtPlacing
    let wiring = Wiring(
      seconds: (making + receipt.duration).seconds,
      zeroedAhead: receipt.zeroedAheadBytes - before, zeroedNow: receipt.zeroedNowBytes + before)
    return (guest, wiring)
  }
}
