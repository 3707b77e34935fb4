public import HoldfastCore

/// A host in simulated time: guests come, get their memory from the real allocator, objects and
/// address spaces, and go. Only the frames' bytes and the translations are missing.
///
/// What happens follows from the options alone. Times are taken with the clock that is given, and
/// nothing depends on them.
public struct Simulation {
  /// Nanoseconds from any start on.
  public typealias Clock = () -> UInt64

  /// What came of a run.
  public struct Result: Sendable {
    public let options: SimulationOptions
    /// The simulated time in seconds.
    public let duration: Double
    public let figures: SimulationFigures
    public let times: [Operation: OperationTimes]
  }

  /// In how many rounds, spread over its life, a guest writes to its memory.
  static let rounds = 4
  /// A guest writes to so many pages in a row at most.
  static let longestWrite: UInt64 = 16
  /// How often the host is looked at.
  public static let sampleCount = 240

  let options: SimulationOptions
  let plan: ArrivalPlan
  public let memory: PhysicalMemory
  private let clock: Clock
  private let events: [GuestEvent]

  var running = RunningGuests()
  var figures: SimulationFigures
  private var times: [Operation: OperationTimes] = [:]
  private var scrub: Scrub
  private var sampledWires: SimulationFigures.Wires

  /// A simulation that has not begun.
  ///
  /// - Complexity: O(guests · log guests).
  public init(_ options: SimulationOptions, clock: @escaping Clock) {
    self.options = options
    self.clock = clock
    plan = ArrivalPlan(options)
    events = GuestEvent.all(of: plan)
    let geometry = Geometry.small
    let allocator = FrameAllocator(
      geometry: geometry, frames: FrameRun(Frame(0), geometry.pages(in: options.memory)),
      zeroed: true)
    memory = PhysicalMemory(allocator: allocator, store: NullFrameStore())
    figures = SimulationFigures(levels: geometry.superpageLevels)
    sampledWires = figures.wires
    scrub = Scrub(allocator, rate: options.scrubRate)
    for operation in Operation.allCases { times[operation] = OperationTimes() }
  }

  /// The simulated time in seconds.
  public var duration: Double { plan.duration }

  /// The address spaces of the guests that are there.
  public var spaces: [AddressSpace] { running.all.values.map(\.space) }

  /// Lets all the simulated time pass, and then all guests go.
  ///
  /// - Parameter progress: gets the seconds that have passed, now and then.
  public mutating func run(progress: (Double) -> Void = { _ in }) -> Result {
    runGuests(progress: progress)
    for number in running.all.keys.sorted() { depart(number, isTimed: false) }
    figures.freeAtEnd = memory.geometry.bytes(memory.allocator.occupancy.free)
    figures.reservations = memory.reservations.statistics
    figures.scrubbedBytes = memory.geometry.bytes(scrub.scrubbed)
    return Result(options: options, duration: plan.duration, figures: figures, times: times)
  }

  /// Lets all the simulated time pass.
  mutating func runGuests(progress: (Double) -> Void) {
    let interval = plan.duration / Double(Simulation.sampleCount)
    var samples = 0
    for (index, event) in events.enumerated() {
      while event.time > Double(samples) * interval {
        sample(at: Double(samples) * interval)
        samples += 1
      }
      scrub.run(until: event.time)
      switch event.kind {
      case .departure: depart(event.guest, isTimed: true)
      case .arrival: arrive(event.guest)
      case .round:
        if let guest = running.all[event.guest] { write(guest) }
      }
      if index % 64 == 0 { progress(event.time) }
    }
    while samples <= Simulation.sampleCount {
      sample(at: Double(samples) * interval)
      samples += 1
    }
  }

  /// Does an operation and takes its time.
  mutating func timed<Value>(
    _ operation: Operation, _ body: () throws(HoldfastError) -> Value
  ) throws(HoldfastError) -> Value {
    let start = clock()
    let value = try body()
    times[operation]?.add(clock() &- start)
    return value
  }

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
        used: geometry.bytes(occupancy.total - memory.available),
        zeroed: geometry.bytes(occupancy.zeroed),
        superpageFragmentation: blocks.fragmentation(below: geometry.order(ofLevel: 1)),
        largestFragmentation: blocks.fragmentation(below: geometry.maximumOrder),
        superpageShare: wires.superpageShare, largestShare: wires.largestShare,
        zeroedShare: wires.zeroedShare, metadata: metadata))
  }

  /// The metadata of all structures, each counted once.
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
