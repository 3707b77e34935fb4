internal import CHoldfastBench
internal import Holdfast
public import HoldfastCore
public import HoldfastLinux
internal import SystemPackage

/// Measures wiring before and after a guest has written to all memory, where a scrubber zeroes the
/// memory in the background once that guest has ended.
public struct ScrubBenchmark: Sendable {
  /// The memory that is measured. Its threads are also those with which the guest writes.
  public var memory: BenchmarkMemory
  /// The options of the scrubber.
  public var scrubbing: Scrubber.Options

  /// Creates a benchmark; the parameters are the properties.
  public init(memory: BenchmarkMemory, scrubbing: Scrubber.Options) {
    self.memory = memory
    self.scrubbing = scrubbing
  }

  /// A step of the benchmark; the raw value is the name that the progress bar shows.
  public enum Step: String, Sendable, CaseIterable {
    /// Preparing the arena.
    case preparing = "preparing memory"
    /// Wiring the first guest.
    case first = "wiring"
    /// Writing to every byte of the first guest.
    case dirtying = "writing to all memory"
    /// Waiting for the scrubber.
    case scrubbing = "scrubbing"
    /// Wiring the second guest.
    case second = "wiring again"
    /// Reading the second guest's memory.
    case checking = "checking for zeros"
  }

  /// One of the two wirings.
  public struct Wiring: Sendable {
    /// How long the guest waited.
    public let seconds: Double
    /// Bytes in frames that were zero before.
    public let zeroedAhead: ByteCount
    /// Bytes that were zeroed while the guest waited.
    public let zeroedNow: ByteCount
  }

  /// What was measured.
  public struct Result: Sendable {
    /// The size of the guest's memory.
    public let memory: ByteCount
    /// The backing of the arena.
    public let backing: Backing
    /// The threads that populated and zeroed memory.
    public let threads: Int
    /// How long the arena took to prepare.
    public let arenaSeconds: Double
    /// The wiring of the first guest.
    public let first: Wiring
    /// How long the guest took to write to every byte.
    public let dirtySeconds: Double
    /// From the end of the guest until all memory was zero.
    public let scrubSeconds: Double
    /// What the scrubber did.
    public let statistics: Scrubber.Statistics
    /// The wiring of the second guest.
    public let second: Wiring
    /// Whether every byte of the second guest was zero.
    public let isZero: Bool
    /// Why better backings were passed over.
    public let fallbacks: [String]
  }

  /// Runs the benchmark.
  ///
  /// - Parameter progress: called before each step.
  /// - Throws: `HoldfastError` if the arena, the threads or the wirings fail.
  public func run(progress: (Step) -> Void = { _ in }) throws(HoldfastError) -> Result {
    progress(.preparing)
    let arena = try memory.makeArena()
    let scrubber = try Scrubber(memory: arena.memory, options: scrubbing)
    defer { scrubber.stop() }

    let (first, dirtySeconds) = try firstGuest(on: arena, progress)
    progress(.scrubbing)
    let start = Instant.now
    while !scrubber.waitUntilZeroed(atMost: .seconds(3600)) {}
    let scrubSeconds = (Instant.now - start).seconds
    let statistics = scrubber.statistics
    let (second, isZero) = try secondGuest(on: arena, progress)
    return Result(
      memory: arena.size, backing: arena.backing, threads: memory.threads,
      arenaSeconds: arena.preparation.duration.seconds, first: first, dirtySeconds: dirtySeconds,
      scrubSeconds: scrubSeconds, statistics: statistics, second: second, isZero: isZero,
      fallbacks: arena.preparation.fallbacks)
  }

  /// A guest that writes to all of its memory and ends.
  private func firstGuest(
    on arena: Arena, _ progress: (Step) -> Void
  ) throws(HoldfastError) -> (Wiring, dirtySeconds: Double) {
    progress(.first)
    let (guest, wiring) = try wire(arena)
    progress(.dirtying)
    let seconds = hf_bench_fill(
      guest.hostAddress, Int(arena.size.rawValue), 0xA5, Int32(clamping: memory.threads))
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

  /// A wired guest with all of the memory. If guests are placed in the arena itself, the zeroing at
  /// their creation counts as part of the wiring.
  private func wire(_ arena: Arena) throws(HoldfastError) -> (GuestMemory, Wiring) {
    let start = Instant.now
    let guest = try memory.makeGuest(on: arena)
    let making = arena.backing.hasFile ? .zero : Instant.now - start
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
