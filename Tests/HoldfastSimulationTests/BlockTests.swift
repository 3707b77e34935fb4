import HoldfastCore
import Testing

@testable import HoldfastSimulation

/// Blocks of 1 GiB: the guests that get them, and what that changes for others.
struct BlockTests {
  private func options(_ guests: [TraceGuest], _ memory: ByteCount) -> SimulationOptions {
    var options = SimulationOptions(memory: memory, guests: nil, pattern: .trace)
    options.forkShare = 0
    options.pagedShare = 0
    options.scrubRate = .zero
    options.trace = guests
    return options
  }

  private func run(
    _ options: SimulationOptions, _ blocks: SimulationOptions.Blocks
  ) -> Simulation.Result {
    var options = options
    options.blocks = blocks
    var simulation = Simulation(options, recordsOutcomes: true, clock: countingClock())
    return simulation.run()
  }

  private func compare(_ options: SimulationOptions) -> (Simulation.Result, BlockComparison) {
    let with = run(options, .gib)
    return (with, BlockComparison(with: with, without: run(options, .superpage)))
  }

  /// The lowest superpage is taken. A guest of 3 GiB and a half gets the GiBs that are whole, and
  /// the next one what is left, which is no whole GiB.
  @Test func `guests that can use blocks of 1 GiB get those that are free`() {
    let options = options(
      [
        TraceGuest(created: 0, deleted: 9000, memory: .mebibytes(2)),
        TraceGuest(created: 1, deleted: 9000, memory: .gibibytes(3) + .mebibytes(512)),
        TraceGuest(created: 2, deleted: 9000, memory: .gibibytes(2)),
        TraceGuest(created: 3, deleted: 9000, memory: .gibibytes(2)),
      ], .gibibytes(8))
    let (with, comparison) = compare(options)
    // Of 8 GiB one has the superpage and the half; three, two, and at last two of the third guest.
    #expect(with.figures.largestBlocks.guests == 3 && with.figures.largestBlocks.complete == 3)
    #expect(with.figures.largestBlocks.partial == 0)
    #expect(with.figures.largestBlocks.bytes == .gibibytes(7))
    #expect(with.figures.largestBlocks.possibleBytes == .gibibytes(7))
    // Superpages in ascending order begin behind the first one, so no run of them is aligned.
    let without = comparison.without.figures.largestBlocks
    #expect(without.guests == 3 && without.complete == 0 && without.bytes == .zero)
    #expect(without.possibleBytes == .gibibytes(7))
    // All bytes are in superpages in both runs, so no guest is worse off.
    for effect in [comparison.capable, comparison.others] {
      #expect(effect.worse == 0 && effect.better == 0)
      #expect(effect.refusedWith == 0 && effect.refusedWithout == 0)
    }
    #expect(comparison.capable.guests == 3 && comparison.others.guests == 1)
  }

  /// Without blocks, a guest of 1 GiB fills up a GiB that another has begun; with them it takes a
  /// whole one. Half a GiB that is in no block is left in either run.
  @Test func `the run without blocks is that of an allocator that has none`() {
    let options = options(
      [
        TraceGuest(created: 0, deleted: 9000, memory: .mebibytes(512)),
        TraceGuest(created: 1, deleted: 9000, memory: .gibibytes(1)),
      ], .gibibytes(4))
    for (blocks, below) in [(SimulationOptions.Blocks.gib, 0.5 / 2.5), (.superpage, 0.5 / 2.5)] {
      let samples = run(options, blocks).figures.samples
      let last = samples.last { $0.used == .mebibytes(1536) }
      #expect(last?.largestFragmentation == below, "\(blocks)")
    }
    let allocator = FrameAllocator(
      geometry: .small, checked: FrameRun(Frame(0), .order(18)), zeroed: true, largestBlock: 9)
    var dirty: [FrameRun] = []
    #expect(allocator.allocateLargest(order: 18, dirty: &dirty)?.run.count == .order(9))
    #expect(allocator.withPolicy(.roundRobin).largestBlock == 9)
    // A caller that names an order still gets it.
    #expect(allocator.allocate(order: 10, dirty: &dirty)?.run.count == .order(10))
  }

  @Test func `effects are counted guest by guest`() {
    func outcome(_ pages: UInt64, _ reserved: Int, isCapable: Bool = false) -> GuestOutcome {
      var outcome = GuestOutcome()
      outcome.basePages = pages
      outcome.reserved = reserved
      outcome.isCapable = isCapable
      return outcome
    }
    var refused = GuestOutcome()
    refused.isRefused = true
    let pairs: [(GuestOutcome, GuestOutcome)] = [
      (outcome(1, 0), outcome(0, 0)), (outcome(0, 0), outcome(1, 0)),
      (outcome(0, 1), outcome(0, 2)),
      (outcome(0, 3), outcome(0, 2)), (outcome(5, 5), outcome(5, 5)), (refused, outcome(0, 0)),
      (outcome(9, 0), refused), (refused, refused),
      (outcome(7, 0, isCapable: true), outcome(6, 0, isCapable: true)),
    ]
    let some = run(options([], .gibibytes(1)), .gib)
    func result(_ outcomes: [GuestOutcome]) -> Simulation.Result {
      Simulation.Result(
        options: some.options, duration: some.duration, figures: some.figures, times: some.times,
        outcomes: outcomes)
    }
    let comparison = BlockComparison(
      with: result(pairs.map(\.0)), without: result(pairs.map(\.1)))
    let others = comparison.others
    #expect(others.guests == 8 && others.worse == 2 && others.better == 2)
    #expect(others.refusedWith == 1 && others.refusedWithout == 1)
    #expect(comparison.capable.guests == 1 && comparison.capable.worse == 1)
  }

  @Test(arguments: [SimulationOptions.Pattern.steady, .bursts])
  func `both runs have the same guests, and lose nothing`(pattern: SimulationOptions.Pattern) {
    var options = smallOptions(seed: 4, pattern: pattern)
    options.memory = .gibibytes(24)
    options.dirtyShare = 0.0005
    options.sizes = SizeMix([
      .init(.gibibytes(3), weight: 1), .init(.mebibytes(300), weight: 3),
      .init(.mebibytes(7), weight: 2),
    ])
    let (with, comparison) = compare(options)
    let without = comparison.without
    #expect(with.isAllFree && without.isAllFree)
    #expect(with.figures.guests.arrived == without.figures.guests.arrived)
    #expect(comparison.capable.guests + comparison.others.guests == with.outcomes.count)
    #expect(with.figures.largestBlocks.bytes > without.figures.largestBlocks.bytes)
    // Recording changes nothing.
    var plain = Simulation(options, clock: countingClock())
    let again = plain.run()
    #expect(again.outcomes.isEmpty && again.figures == with.figures)
    let wired = with.outcomes.reduce(0) { $0 + $1.basePages }
    #expect(wired == with.figures.wires.bytesByLevel[0].rawValue >> 12)
  }
}
