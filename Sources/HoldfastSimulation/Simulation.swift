package import HoldfastCore

/// A host in simulated time: guests arrive, get their memory from the real allocator, objects and
/// address spaces, and depart. Only the frames' bytes and the translations are missing.
///
/// The options determine everything that happens. The times of operations are measured with the
/// clock that is passed in, and nothing depends on them.
package struct Simulation {
  /// Returns the nanoseconds since any fixed moment.
  package typealias Clock = () -> UInt64

  /// The result of a run.
  package struct Result: Sendable {
    /// What was simulated.
    package let options: SimulationOptions
    /// The simulated time in seconds.
    package let duration: Double
    /// Everything but the times: the same for the same options.
    package let figures: SimulationFigures
    /// The measured times of each operation.
    package let times: [Operation: OperationTimes]
    /// What each guest got, in the order of their arrivals; empty unless that was recorded.
    package let outcomes: [GuestOutcome]

    /// Whether all memory was free after all guests had left.
    package var isAllFree: Bool { figures.freeAtEnd == options.memory }
  }

  /// The number of rounds, spread over its lifetime, in which a guest writes to its memory.
  static let rounds = 4
  /// The number of samples, less the first, that a run takes of the host.
  package static let sampleCount = 240

  let options: SimulationOptions
  let plan: ArrivalPlan
  /// The host's memory.
  package let memory: PhysicalMemory
  private let clock: Clock
  private let events: [GuestEvent]

  var running = RunningGuests()
  var figures: SimulationFigures
  /// By the number of the guest; empty unless they are recorded.
  var outcomes: [GuestOutcome]
  private var times: [Operation: OperationTimes] = [:]
  private var scrub: Scrub
  private var sampledWires: SimulationFigures.Wires

  /// A simulation that has not begun.
  ///
  /// - Parameters:
  ///   - recordsOutcomes: whether the result has what each guest got.
  ///   - clock: measures the times of operations.
  /// - Complexity: O(guests · log guests).
  package init(
    _ options: SimulationOptions, recordsOutcomes: Bool = false, clock: @escaping Clock
  ) {
    self.options = options
    self.clock = clock
    plan = ArrivalPlan(options)
    events = GuestEvent.all(of: plan)
    let geometry = Geometry.small
    let allocator = FrameAllocator(
      geometry: geometry,
      checked: FrameRun(Frame(0), geometry.pages(in: options.memory)), zeroed: true,
      largestBlock: options.blocks == .gib
        ? geometry.maximumOrder : geometry.order(ofLevel: 1))
    memory = PhysicalMemory(allocator: allocator, store: NullFrameStore())
    figures = SimulationFigures(levels: geometry.superpageLevels)
    outcomes = recordsOutcomes ? Array(repeating: GuestOutcome(), count: plan.guests.count) : []
    sampledWires = figures.wires
    scrub = Scrub(allocator, rate: options.scrubRate)
    for operation in Operation.allCases { times[operation] = OperationTimes() }
  }

  /// The simulated time in seconds.
  package var duration: Double { plan.duration }

  /// The page faults of the run, if no guest is refused for lack of memory: most of what a run with
  /// many of them takes.
  ///
  /// - Complexity: O(events).
  package var faultEstimate: UInt64 {
    events.reduce(0) { sum, event in
      let guest = plan.guests[event.guest]
      // A guest that is larger than the host never runs.
      guard guest.kind != .wired, event.kind != .departure, guest.size <= options.memory else {
        return sum
      }
      // The original of a fork writes too.
      let writers: UInt64 = event.kind == .arrival && guest.kind == .fork ? 2 : 1
      return sum.saturatingSum(pagesToWrite(guest.size).saturatingProduct(writers))
    }
  }

  /// The address spaces of the running guests.
  package var spaces: [AddressSpace] { running.all.values.map(\.space) }

  /// Runs the simulation to its end, and then lets all guests depart.
  ///
  /// - Parameter progress: gets the simulated seconds that have passed, every 64 events.
  package mutating func run(progress: (Double) -> Void = { _ in }) -> Result {
    runGuests(progress: progress)
    for number in running.all.keys.sorted() { depart(number, isTimed: false) }
    figures.freeAtEnd = memory.geometry.bytes(memory.allocator.occupancy.free)
    figures.reservations = memory.reservations.statistics
    figures.scrubbedBytes = memory.geometry.bytes(scrub.scrubbed)
    return Result(
      options: options, duration: plan.duration, figures: figures, times: times,
      outcomes: outcomes)
  }

  /// Runs all events.
  mutating func runGuests(progress: (Double) -> Void) {
    let interval = plan.duration / Double(Simulation.sampleCount)
    var samples = 0
    for (index, event) in events.enumerated() {
      while event.time > Double(samples) * interval {
        sample(at: Double(samples) * interval)
        samples += 1
      }
      scrub.run(until: event.time)
      figures.used.stay(until: event.time)
      switch event.kind {
      case .departure: depart(event.guest, isTimed: true)
      case .arrival: arrive(event.guest)
      case .round:
        // What was to be a fork, and had no original, is a wired guest and writes nothing.
        if let guest = running.all[event.guest], guest.writes { write(guest) }
      }
      figures.used.set(usedMemory)
      if index % 64 == 0 { progress(event.time) }
    }
    figures.used.stay(until: plan.duration)
    while samples <= Simulation.sampleCount {
      sample(at: Double(samples) * interval)
      samples += 1
    }
  }

  /// Performs an operation and measures its time.
  mutating func timed<Value>(
    _ operation: Operation, _ body: () throws(HoldfastError) -> Value
  ) throws(HoldfastError) -> Value {
    let start = clock()
    let value = try body()
    times[operation]?.add(clock() &- start)
    return value
  }

  private var usedMemory: ByteCount {
    memory.geometry.bytes(memory.allocator.occupancy.total - memory.available)
  }

  /// Records the state of the host.
  private mutating func sample(at time: Double) {
    scrub.run(until: time)
    let allocator = memory.allocator
    let geometry = memory.geometry
    let occupancy = allocator.occupancy
    let blocks = allocator.freeBlocks
    let wires = figures.wires.since(sampledWires)
    sampledWires = figures.wires
    figures.samples.append(
      SimulationFigures.Sample(
        time: time, guests: running.all.count,
        used: usedMemory,
        zeroed: geometry.bytes(occupancy.zeroed),
        superpageFragmentation: blocks.fragmentation(below: geometry.order(ofLevel: 1)),
        largestFragmentation: blocks.fragmentation(below: geometry.maximumOrder),
        superpageShare: wires.superpageShare, largestShare: wires.largestShare,
        zeroedShare: wires.zeroedShare, metadata: metadata))
  }

  /// The sizes of all structures' own data, each counted once.
  var metadata: SimulationFigures.Metadata {
    var metadata = SimulationFigures.Metadata(
      allocator: memory.allocator.metadata + memory.reservations.metadata)
    var seen: Set<ObjectIdentifier> = []
    for guest in running.all.values {
      metadata.maps += guest.space.metadata
      guest.space.forEachObject { object in
        if seen.insert(ObjectIdentifier(object)).inserted { metadata.objects += object.metadata }
      }
    }
    return metadata
  }
}
