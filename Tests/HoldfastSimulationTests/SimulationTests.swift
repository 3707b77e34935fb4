import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastSimulation

struct SimulationTests {
  private func figures(
    _ options: SimulationOptions, step: UInt64 = 1000
  ) -> SimulationFigures {
    var simulation = Simulation(options, clock: countingClock(step: step))
    return simulation.run().figures
  }

  @Test(arguments: [SimulationOptions.Pattern.steady, .bursts])
  func `the same seed gives the same run, whatever the clock`(
    pattern: SimulationOptions.Pattern
  ) {
    let first = figures(smallOptions(seed: 7, pattern: pattern))
    let again = figures(smallOptions(seed: 7, pattern: pattern), step: 777_777)
    #expect(first.digest == again.digest && first.wires == again.wires)
    for (one, other) in zip(first.samples, again.samples) { #expect(one == other) }
    let isSame = first == again
    #expect(isSame)
    let other = figures(smallOptions(seed: 8, pattern: pattern))
    let isOther = first.digest != other.digest && first.samples != other.samples
    #expect(isOther)
  }

  @Test(arguments: 1...smallRuns)
  func `nothing is lost, while guests are there and after`(seed: UInt64) {
    let pattern: SimulationOptions.Pattern = seed % 2 == 0 ? .steady : .bursts
    var simulation = Simulation(
      smallOptions(seed: seed, pattern: pattern), clock: countingClock())
    simulation.runGuests { _ in }
    #expect(!simulation.spaces.isEmpty || pattern == .bursts)
    #expect(Invariants.problems(in: simulation.memory, spaces: simulation.spaces) == [])

    simulation = Simulation(smallOptions(seed: seed, pattern: pattern), clock: countingClock())
    let result = simulation.run()
    #expect(result.figures.freeAtEnd == .gibibytes(2))
    #expect(simulation.spaces.isEmpty)
    #expect(Invariants.problems(in: simulation.memory, spaces: []) == [])
    #expect(simulation.memory.allocator.largestFreeOrder == Geometry.small.maximumOrder)
  }

  /// Twenty guests for five minutes of ten days are there between two looks at the host.
  @Test func `the peak is exact, and the mean is weighted by time`() {
    var options = SimulationOptions(memory: .gibibytes(64), guests: nil, pattern: .trace)
    options.forkShare = 0
    options.pagedShare = 0
    options.duration = .seconds(864_000)
    options.trace = (0..<20).map { _ in
      TraceGuest(created: 5000, deleted: 5300, memory: .gibibytes(2))
    }
    let used = figures(options).used
    #expect(used.peak == .gibibytes(40))
    let mean = Double(40 << 30) * 300 / 864_000
    #expect((Double(used.mean.rawValue) - mean).magnitude <= 1)
    // A guest that overlaps none adds its own area.
    options.trace.append(TraceGuest(created: 100_000, deleted: 532_000, memory: .gibibytes(1)))
    let more = figures(options).used
    #expect(more.peak == .gibibytes(40))
    #expect((Double(more.mean.rawValue) - mean - Double(1 << 30) / 2).magnitude <= 1)
  }

  /// Little's law: the mean memory is rate, lifetime and size, multiplied.
  @Test(arguments: [SimulationOptions.Pattern.steady, .bursts])
  func `the mean memory is that of the guests asked for`(
    pattern: SimulationOptions.Pattern
  ) {
    var options = SimulationOptions(memory: .tebibytes(16), guests: 1000, pattern: pattern)
    options.forkShare = 0
    options.pagedShare = 0
    options.sizes = SizeMix([SizeMix.Part(.gibibytes(2), weight: 1)])
    options.lifetime = .seconds(600)
    options.duration = .seconds(16 * 3600)
    let mean = Double(figures(options).used.mean.rawValue) / Double(2 << 30)
    // About 6,000 bursts: five percent are more than three standard deviations.
    #expect((950...1050).contains(mean), "\(mean)")
  }

  @Test func `with everything dirty, every page is written once`() {
    var options = SimulationOptions(memory: .gibibytes(1), guests: nil, pattern: .trace)
    options.forkShare = 0
    options.pagedShare = 1
    options.dirtyShare = 1
    options.duration = .seconds(1000)
    options.trace = [TraceGuest(created: 0, deleted: 900, memory: ByteCount(64 << 20 | 12 << 10))]
    let result = figures(options)
    #expect(result.faults == (64 << 8) + 3 + 1)
    #expect(result.used.peak == ByteCount(64 << 20 | 12 << 10))
  }

  @Test(arguments: [1, 2, 7, 8, 9, 64, 1000, 4099] as [UInt64])
  func `an order of writes has every page once, then again`(pages: UInt64) {
    var random = RandomSource(seed: pages)
    for _ in 0..<20 {
      var order = WriteOrder(pages: pages, &random)
      for _ in 0..<2 {
        var seen: Set<UInt64> = []
        while seen.count < Int(pages) {
          for page in order.next(atMost: 1 + random.below(11)) {
            #expect(page < pages && seen.insert(page).inserted)
          }
        }
      }
    }
  }

  /// A guest that was to be a fork and had no original is wired, and faults nothing.
  @Test func `forks without an original write nothing`() {
    var options = SimulationOptions(memory: .gibibytes(4), guests: nil, pattern: .trace)
    options.forkShare = 1
    options.pagedShare = 0
    options.dirtyShare = 1
    options.duration = .seconds(10_000)
    options.trace = (0..<4).map {
      TraceGuest(created: $0 * 2000, deleted: $0 * 2000 + 1000, memory: .mebibytes(64))
    }
    let result = figures(options)
    #expect(result.guests.wired == 4 && result.guests.forked == 0 && result.faults == 0)
  }

  @Test func `guests, wires and operations add up`() {
    var simulation = Simulation(smallOptions(seed: 3), clock: countingClock())
    let result = simulation.run()
    let figures = result.figures
    let guests = figures.guests
    #expect(guests.wired > 0 && guests.paged > 0 && guests.forked > 0 && guests.refused > 0)
    #expect(
      guests.wired + guests.paged + guests.forked + guests.refused + figures.shortages
        >= guests.arrived)
    #expect(guests.wired + guests.paged + guests.forked + guests.refused <= guests.arrived)
    #expect(figures.wires.count == guests.wired)
    #expect(figures.wires.bytesByLevel.reduce(.zero, +) == figures.wires.bytes)
    #expect(figures.wires.zeroedAheadBytes <= figures.wires.bytes)
    #expect(figures.samples.count == Simulation.sampleCount + 1)
    #expect(figures.samples.last?.time == 21_600.0)

    #expect(result.times[.wire]?.count == UInt64(guests.wired))
    #expect(result.times[.fork]?.count == UInt64(guests.forked))
    #expect(result.times[.fault]?.count == figures.faults)
    // A look at the clock before and one after.
    for times in result.times.values where times.count > 0 {
      #expect(times.mean == 1000 && times.quantile(0.5) == 1000 && times.longest == 1000)
    }
  }

  @Test func `a guest that is larger than the free memory is refused and counted`() {
    var options = SimulationOptions(memory: .gibibytes(4), guests: 5)
    options.sizes = SizeMix([SizeMix.Part(.gibibytes(1), weight: 1)])
    options.forkShare = 0
    options.pagedShare = 0
    options.lifetime = .seconds(100 * 86_400)
    options.duration = .seconds(1)
    let figures = figures(options)
    #expect(figures.guests.arrived == 5 && figures.guests.wired == 4)
    #expect(figures.guests.refused == 1 && figures.guests.refusedBytes == .gibibytes(1))
    #expect(figures.samples.last?.used == .gibibytes(4))
    #expect(figures.samples.last?.superpageFragmentation == 0)
    #expect(figures.wires.bytesByLevel == [.zero, .zero, .gibibytes(4)])
    #expect(figures.wires.superpageShare == 1 && figures.wires.zeroedShare == 1)
  }

  @Test func `contiguous pages count as superpages, in whatever slots they are`() {
    var options = SimulationOptions(memory: .gibibytes(4), guests: 1)
    options.forkShare = 0
    options.pagedShare = 0
    options.lifetime = .seconds(100 * 86_400)
    options.duration = .seconds(1)
    // 3 GiB, two superpages and three pages.
    options.sizes = SizeMix([
      SizeMix.Part(.gibibytes(3) + .mebibytes(4) + .kibibytes(12), weight: 1)
    ])
    #expect(
      figures(options).wires.bytesByLevel == [.kibibytes(12), .mebibytes(4), .gibibytes(3)])
  }

  @Test func `later guests get dirty frames without a scrubber and zeroed ones with it`() {
    var options = SimulationOptions(memory: .gibibytes(8), guests: 7)
    options.sizes = SizeMix([SizeMix.Part(.gibibytes(1), weight: 1)])
    options.forkShare = 0
    options.pagedShare = 0
    options.scrubRate = .zero
    let dirty = figures(options)
    #expect(dirty.scrubbedBytes == .zero && (dirty.wires.zeroedShare ?? 1) < 0.5)
    #expect(dirty.wires.superpageShare == 1)
    options.scrubRate = .gibibytes(1)
    let zeroed = figures(options)
    #expect(zeroed.scrubbedBytes > .gibibytes(8))
    #expect((zeroed.wires.zeroedShare ?? 0) > (dirty.wires.zeroedShare ?? 0) + 0.3)
    // Zeroing does not change the guests.
    #expect(dirty.guests == zeroed.guests)
  }

  @Test func `guests arrive and depart as in the trace`() {
    var options = SimulationOptions(memory: .gibibytes(16), guests: nil, pattern: .trace)
    options.forkShare = 0
    options.pagedShare = 0
    options.trace = [
      TraceGuest(created: 600, deleted: 1200, memory: .gibibytes(4)),
      TraceGuest(created: 0, deleted: 2400, memory: .gibibytes(2)),
      // Gone at the next look: there for 300 seconds.
      TraceGuest(created: 1800, deleted: 1800, memory: .gibibytes(8)),
    ]
    var simulation = Simulation(options, clock: countingClock())
    #expect(simulation.duration == 2400)
    let samples = simulation.run().figures.samples
    func used(at time: Double) -> ByteCount? { samples.last { $0.time <= time }?.used }
    #expect(used(at: 0) == .gibibytes(2) && used(at: 599) == .gibibytes(2))
    #expect(used(at: 700) == .gibibytes(6) && used(at: 1300) == .gibibytes(2))
    #expect(used(at: 1900) == .gibibytes(10) && used(at: 2200) == .gibibytes(2))
  }

  @Test func `a host of 16 TiB needs next to no metadata`() {
    var options = SimulationOptions(memory: .tebibytes(16), guests: 1000)
    options.duration = .seconds(60)
    options.dirtyShare = 0.00001
    let figures = figures(options)
    let metadata = figures.peakMetadata
    #expect(metadata.allocator > .zero && metadata.objects > .zero && metadata.maps > .zero)
    #expect(metadata.total.rawValue * 1000 < ByteCount.tebibytes(16).rawValue)
    #expect(figures.freeAtEnd == .tebibytes(16))
  }
}
