internal import Holdfast
public import HoldfastCore
internal import HoldfastKVM
public import HoldfastLinux

/// Measures how long a virtual machine waits for its wired memory, by both paths: the call of `map`
/// alone, as the FreeBSD review measured it in bhyve's `vm_mmap_memseg`.
///
/// Where the host has KVM the guest's window is in the slots of a real machine before, so that whatever
/// KVM has to hear of new translations is a part of the time.
public struct GuestBenchmark: Sendable {
  public var memory: ByteCount
  /// Counted runs.
  public var runs: Int
  /// Nil for the best that the host offers.
  public var backing: Backing?
  public var nodes: HostNodes?
  public var guestPolicy: DomainPolicy
  /// Threads that bring memory in and zero it.
  public var threads: Int
  public var host: HostCapabilities
  /// What machines are made of; tests say another.
  package var device = "/dev/kvm"

  public init(
    memory: ByteCount, runs: Int, backing: Backing?, nodes: HostNodes? = nil,
    guestPolicy: DomainPolicy = .firstTouch, threads: Int, host: HostCapabilities
  ) {
    self.memory = memory
    self.runs = runs
    self.backing = backing
    self.nodes = nodes
    self.guestPolicy = guestPolicy
    self.threads = threads
    self.host = host
  }

  /// A way to wire.
  public enum Path: String, Hashable, Sendable, CaseIterable {
    /// By superpages.
    case prefault
    /// A base page at a time.
    case fault
  }

  /// The values of one path, one a run.
  public struct Measurement: Sendable {
    public let path: Path
    /// The call of `map`, wired; of a guest of more than 3 GiB both calls.
    public internal(set) var seconds: [Double] = []
    /// What the machine's slots took before. Empty without a machine.
    public internal(set) var slotSeconds: [Double] = []

    public var median: Double? { HoldfastBench.median(seconds) }
  }

  /// What is about to be measured.
  public struct Step: Hashable, Sendable {
    /// From 1; 0 is the warm-up.
    public let run: Int
    /// Nil while the arena is prepared.
    public let path: Path?
    public let number: Int
    public let count: Int
  }

  public struct Result: Sendable {
    public let memory: ByteCount
    public let runs: Int
    public let threads: Int
    public let backing: Backing
    public let arenaSeconds: Double
    public let measurements: [Measurement]
    /// How many slots the guest's memory is in.
    public let slots: Int
    /// Why there was no machine, or nil.
    public let machineProblem: String?
    public let fallbacks: [String]
  }

  /// Runs all of it: the paths in turn, another one first in each run. A first run is not counted. All
  /// frames are zeroed before each measurement.
  ///
  /// - Parameter progress: called before each step.
  /// - Throws: where the arena or the memory cannot be had.
  public func run(progress: (Step) -> Void = { _ in }) throws(HoldfastError) -> Result {
    let count = 1 + (runs + 1) * Path.allCases.count
    progress(Step(run: 0, path: nil, number: 0, count: count))
    let arena: Arena
    arena = try Arena(
      size: memory, backing: backing, nodes: nodes, host: host, threads: threads)
    var measurements = Path.allCases.map { Measurement(path: $0) }
    var slots = 0
    var problem: String?
    var number = 1
    for run in 0...runs {
      for step in measurements.indices {
        let index = (step + run) % measurements.count
        progress(Step(run: run, path: measurements[index].path, number: number, count: count))
        number += 1
        let one = try measure(measurements[index].path, on: arena)
        (slots, problem) = (one.slots, one.problem)
        guard run > 0 else { continue }
        measurements[index].seconds.append(one.seconds)
        if let seconds = one.slotSeconds { measurements[index].slotSeconds.append(seconds) }
      }
    }
    return Result(
      memory: arena.size, runs: runs, threads: threads, backing: arena.backing,
      arenaSeconds: arena.preparation.duration.seconds, measurements: measurements, slots: slots,
      machineProblem: problem, fallbacks: arena.preparation.fallbacks)
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
    let clock = ContinuousClock()
    let made = clock.now
    // A guest that is placed in the arena has no room for a hole.
    let layout = arena.backing.hasFile ? RAMLayout(size: arena.size) : nil
    let guest = try GuestMemory(
      arena: arena, limit: layout?.limit ?? arena.size, hostNUMANode: guestPolicy, host: host)
    // There dirty frames are zeroed when it is made.
    var seconds = arena.backing.hasFile ? 0 : (clock.now - made).seconds
    var one = One()
    var machine: VirtualMachine?
    do throws(HoldfastError) {
      let made = try VirtualMachine(path: device)
      let start = clock.now
      one.slots = try made.addSlots(of: guest).count
      one.slotSeconds = (clock.now - start).seconds
      machine = made
    } catch {
      one.problem = error.description
    }
    let ram = try guest.allocateSegment("ram", size: arena.size)
    let pieces =
      layout?.pieces.map { ($0.offset, $0.range) }
      ?? [(ByteCount.zero, AddressRange(.zero, .zero + arena.size))]
    var wired = ByteCount.zero
    for (offset, range) in pieces {
      let start = clock.now
      let receipt = try guest.map(
        ram, at: range.start, offset: offset, length: range.length, options: .wired,
        path: path == .fault ? .fault : .prefault)
      seconds += (clock.now - start).seconds
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
