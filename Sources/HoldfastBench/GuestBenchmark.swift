internal import Holdfast
public import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux

/// Measures how long a virtual machine waits for its wired memory, by both paths: the call of `map`
/// alone, as the FreeBSD review measured it in bhyve's `vm_mmap_memseg`.
///
/// If the host has KVM, the slots of a real machine contain the guest's window before the call, so
/// that notifying KVM of new translations is part of the time.
public struct GuestBenchmark: Sendable {
  /// The memory that is measured.
  public var memory: BenchmarkMemory
  /// The number of counted runs.
  public var runs: Int
  /// The device that creates machines; tests use another.
  package var device = "/dev/kvm"

  /// Creates a benchmark; the parameters are the properties.
  public init(memory: BenchmarkMemory, runs: Int) {
    self.memory = memory
    self.runs = runs
  }

  /// A way to wire.
  public enum Path: String, Hashable, Sendable, CaseIterable {
    /// By superpages.
    case prefault
    /// A base page at a time.
    case fault
  }

  /// The values of one path, one for each run.
  public struct Measurement: Sendable {
    /// The path.
    public let path: Path
    /// The time of the wiring call of `map`; both calls in a guest of more than 3 GiB.
    public internal(set) var seconds: [Double] = []
    /// The time of setting the machine's slots before. Empty without a machine.
    public internal(set) var slotSeconds: [Double] = []

    /// The median of `seconds`; nil without values.
    public var median: Double? { HoldfastBench.median(seconds) }
  }

  /// What was measured.
  public struct Result: Sendable {
    /// The size of the guest's memory.
    public let memory: ByteCount
    /// The number of counted runs.
    public let runs: Int
    /// The threads that populated and zeroed memory.
    public let threads: Int
    /// The backing of the arena.
    public let backing: Backing
    /// How long the arena took to prepare.
    public let arenaSeconds: Double
    /// The measurements, one for each path.
    public let measurements: [Measurement]
    /// How many slots contain the guest's memory.
    public let slots: Int
    /// Why there was no machine, or nil.
    public let machineProblem: String?
    /// Why better backings were passed over.
    public let fallbacks: [String]
    /// The first accesses to memory that is not wired; nil without a machine.
    public let firstAccesses: FirstAccesses?
  }

  /// Runs the benchmark: the paths alternate, and each run begins with another one. A first run is
  /// a warm-up that does not count. All frames are zeroed before each measurement.
  ///
  /// - Parameter progress: called before each step.
  /// - Throws: `HoldfastError` if the arena cannot be prepared or the memory not be wired.
  public func run(progress: (BenchmarkStep) -> Void = { _ in }) throws(HoldfastError) -> Result {
    let count = 1 + (runs + 1) * Path.allCases.count
    progress(BenchmarkStep(run: 0, name: BenchmarkStep.arena, number: 0, count: count))
    let arena = try memory.makeArena()
    var measurements = Path.allCases.map { Measurement(path: $0) }
    var slots = 0
    var problem: String?
    var number = 1
    for run in 0...runs {
      for step in measurements.indices {
        let index = (step + run) % measurements.count
        let name = measurements[index].path.rawValue
        progress(BenchmarkStep(run: run, name: name, number: number, count: count))
        number += 1
        let one = try measure(measurements[index].path, on: arena)
        (slots, problem) = (one.slots, one.problem)
        guard run > 0 else { continue }
        measurements[index].seconds.append(one.seconds)
        if let seconds = one.slotSeconds { measurements[index].slotSeconds.append(seconds) }
      }
    }
    let first = problem == nil ? FirstAccesses(host: memory.host, runs: runs) : nil
    return Result(
      memory: arena.size, runs: runs, threads: memory.threads, backing: arena.backing,
      arenaSeconds: arena.preparation.duration.seconds, measurements: measurements, slots: slots,
      machineProblem: problem, fallbacks: arena.preparation.fallbacks,
      firstAccesses: first)
  }

  private struct One {
    var seconds = 0.0
    var slotSeconds: Double?
    var slots = 0
    var problem: String?
  }

  private func measure(_ path: Path, on arena: Arena) throws(HoldfastError) -> One {
    arena.memory.forgetZeroedFrames()
    arena.memory.zeroFreeFrames()
    let made = Instant.now
    // A guest that is placed in the arena has no hole in its addresses.
    let layout = try arena.backing.hasFile ? RAMLayout(size: arena.size) : nil
    let guest = try memory.makeGuest(on: arena, limit: layout?.limit)
    // Creating such a guest zeroes the dirty frames.
    var seconds = arena.backing.hasFile ? 0 : (Instant.now - made).seconds
    var one = One()
    var machine: VirtualMachine?
    do throws(HoldfastError) {
      let made = try VirtualMachine(path: device)
      let start = Instant.now
      one.slots = try made.addSlots(of: guest).count
      one.slotSeconds = (Instant.now - start).seconds
      machine = made
    } catch {
      one.problem = error.description
    }
    let ram = try guest.allocateSegment("ram", size: arena.size)
    let pieces =
      layout?.pieces.map { ($0.offset, $0.range) }
      ?? [(ByteCount.zero, AddressRange(from: .zero, to: .zero + arena.size))]
    var wired = ByteCount.zero
    for (offset, range) in pieces {
      let start = Instant.now
      let receipt = try guest.map(
        ram, at: range.start, offset: offset, length: range.length, options: .wired,
        path: path == .fault ? .fault : .prefault)
      seconds += (Instant.now - start).seconds
      wired = wired + receipt.wiredBytes
    }
    guard wired == arena.size else {
      throw HoldfastError(
        .resourceShortage, operation: "measure \(path.rawValue)",
        reason: "only \(wired) of \(arena.size) were wired")
    }
    one.seconds = seconds
    withExtendedLifetime(machine) {}
    return one
  }
}
