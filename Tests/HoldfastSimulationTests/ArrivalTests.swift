import HoldfastCore
import Testing

@testable import HoldfastSimulation

/// Compares random arrivals with their distributions, within at least five standard deviations.
struct ArrivalTests {
  private func options(_ pattern: SimulationOptions.Pattern) -> SimulationOptions {
    var options = SimulationOptions(memory: .tebibytes(1), guests: 500, pattern: pattern)
    options.duration = .seconds(40 * 3600)
    options.lifetime = .seconds(2 * 3600)
    return options
  }

  /// The variance of the number of arrivals in five minutes over its mean, which is 1 for a Poisson
  /// process.
  private func dispersion(_ guests: [GuestPlan], _ duration: Double) -> Double {
    var counts = [Double](repeating: 0, count: Int(duration / 300))
    for guest in guests { counts[min(counts.count - 1, Int(guest.arrival / 300))] += 1 }
    let mean = counts.reduce(0, +) / Double(counts.count)
    let variance =
      counts.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(counts.count - 1)
    return variance / mean
  }

  @Test func `steady arrivals are a Poisson process with exponential lifetimes`() {
    let plan = ArrivalPlan(options(.steady))
    #expect(plan.guests.count { $0.arrival == 0 } == 500)
    let later = plan.guests.filter { $0.arrival > 0 }
    // 500 guests of 2 hours: 250 an hour for 40 hours.
    #expect((9_500...10_500).contains(later.count))
    #expect((0.6...1.4).contains(dispersion(later, plan.duration)))
    let lifetimes = plan.guests.map { $0.departure - $0.arrival }
    let mean = lifetimes.reduce(0, +) / Double(lifetimes.count)
    #expect((6_800...7_600).contains(mean))
    let short = Double(lifetimes.count { $0 < 7200 }) / Double(lifetimes.count)
    #expect((short - 0.632).magnitude < 0.025)
    // Half way through there are as many as at the start.
    let there = plan.guests.count { $0.arrival <= 72_000 && $0.departure > 72_000 }
    #expect((380...620).contains(there))
  }

  @Test func `the guests of a burst have one size, arrive together and depart together`() {
    let plan = ArrivalPlan(options(.bursts))
    let later = plan.guests.filter { $0.arrival > 300 }
    #expect(dispersion(later, plan.duration) > 5)
    #expect((7_000...13_000).contains(later.count))
    let groups = Dictionary(grouping: plan.guests) { $0.departure }
    let mean = Double(plan.guests.count) / Double(groups.count)
    #expect((11...21).contains(mean))
    for group in groups.values {
      #expect(Set(group.map(\.size)).count == 1)
      let arrivals = group.map(\.arrival).sorted()
      for (first, second) in zip(arrivals, arrivals.dropFirst()) {
        #expect((second - first - ArrivalPlan.burstGap).magnitude < 1e-6)
      }
    }
  }

  @Test(arguments: [SimulationOptions.Pattern.steady, .bursts])
  func `plans are in order, and kinds as often as asked for`(
    pattern: SimulationOptions.Pattern
  ) {
    let plan = ArrivalPlan(options(pattern))
    #expect(zip(plan.guests, plan.guests.dropFirst()).allSatisfy { $0.arrival <= $1.arrival })
    #expect(plan.guests.allSatisfy { $0.arrival < plan.duration && $0.departure > $0.arrival })
    for (kind, share) in [(GuestKind.wired, 0.75), (.paged, 0.15), (.fork, 0.1)] {
      let found = Double(plan.guests.count { $0.kind == kind }) / Double(plan.guests.count)
      #expect((found - share).magnitude < 0.025, "\(kind)")
    }
  }

  @Test func `sizes are as frequent as their weights`() {
    var options = options(.steady)
    options.sizes = SizeMix([
      SizeMix.Part(.gibibytes(1), weight: 60), SizeMix.Part(.gibibytes(2), weight: 30),
      SizeMix.Part(.gibibytes(3), weight: 10),
    ])
    #expect(options.sizes.mean == 1.5 * 1_073_741_824)
    let plan = ArrivalPlan(options)
    for (size, share) in [(UInt64(1), 0.6), (2, 0.3), (3, 0.1)] {
      let found = plan.guests.count { $0.size == .gibibytes(size) }
      #expect((Double(found) / Double(plan.guests.count) - share).magnitude < 0.025)
    }
  }

  @Test(arguments: [(UInt64(16384), 1000), (1024, 1000), (2, 1), (64, 7), (1, 100_000)])
  func `the usual sizes are pages and fill the memory`(gibibytes: UInt64, guests: Int) {
    let mix = SizeMix(memory: .gibibytes(gibibytes), guests: guests)
    for part in mix.parts { #expect(part.size.isMultiple(of: .kibibytes(4)), "\(part.size)") }
    let share = mix.mean * Double(guests) / Double(gibibytes << 30)
    // What each would get is rounded down to a power of two.
    #expect((0.6...1.3).contains(share) || gibibytes << 30 < UInt64(guests) << 17, "\(share)")
  }

  @Test func `a trace is sampled to the requested number of guests`() {
    var options = SimulationOptions(memory: .tebibytes(1), guests: nil, pattern: .trace)
    options.trace = (0..<8000).map {
      TraceGuest(created: $0 * 10, deleted: $0 * 10 + 10_000, memory: .gibibytes(1))
    }
    // Some 900 at once.
    #expect(ArrivalPlan(options).guests.count == 8000)
    options.guests = 90
    let thinned = ArrivalPlan(options).guests.count
    #expect((650...950).contains(thinned))
    options.guests = 5000
    #expect(ArrivalPlan(options).guests.count == 8000)
    options.duration = .seconds(1000)
    #expect(ArrivalPlan(options).guests.count == 100)
  }

  /// Half of a trace's guests are in its first tenth.
  @Test func `a trace is sampled to what runs in the simulated time`() {
    var options = SimulationOptions(memory: .tebibytes(1), guests: 50, pattern: .trace)
    options.trace =
      (0..<4000).map { TraceGuest(created: $0, deleted: $0 + 1000, memory: .gibibytes(1)) }
      + (0..<4000).map {
        TraceGuest(created: 4000 + $0 * 9, deleted: 5000 + $0 * 9, memory: .gibibytes(1))
      }
    for duration in [4000.0, 41_000] {
      options.duration = .seconds(duration)
      let seconds = ArrivalPlan(options).guests.reduce(0.0) {
        $0 + min($1.departure, duration) - $1.arrival
      }
      #expect((35...65).contains(seconds / duration), "\(seconds / duration)")
    }
  }

  @Test func `guests of a trace live as long as it says`() {
    func lifetime(_ created: UInt64, _ deleted: UInt64) -> UInt64 {
      TraceGuest(created: created, deleted: deleted, memory: .gibibytes(1)).lifetime
    }
    #expect(lifetime(300, 300) == 300 && lifetime(300, 301) == 1 && lifetime(0, 299) == 299)
    #expect(lifetime(0, 900) == 900)
  }

  @Test func `random numbers are the same on every host`() {
    var random = RandomSource(seed: 42)
    // SplitMix64 of seed 42, as in other implementations.
    #expect(random.next() == 0xBDD7_3226_2FEB_6E95)
    #expect(random.next() == 0x28EF_E333_B266_F103)
    var counts = [Int](repeating: 0, count: 10)
    for _ in 0..<10_000 { counts[Int(random.below(10))] += 1 }
    #expect(counts.allSatisfy { (800...1200).contains($0) })
    let geometric = (0..<10_000).map { _ in random.geometric(mean: 16) }
    #expect((15...17).contains(Double(geometric.reduce(0, +)) / 10_000))
    #expect(geometric.min() == 1 && random.geometric(mean: 1) == 1)
  }
}
