internal import HoldfastCore

/// A fleet in simulated time: guests arrive, a scheduler places each on a NUMA node of a host, and
/// the hosts' reservoirs make memory ready again.
///
/// A guest goes to a node with a ready file that is large enough, of these to the one that the
/// placement prefers. Where no node has one, it goes to a node with memory for it, which is
/// populated first: a delayed start. Otherwise it is refused. Nothing depends on a clock.
package struct Fleet {
  private let options: FleetOptions
  private let plan: ArrivalPlan
  private let events: [GuestEvent]
  private let sizes: [UInt64]
  private var nodes: [FleetNode]
  /// The node of each guest that runs.
  private var places: [Int32]
  private var fills = FillQueue()
  private var figures = FleetFigures()
  private var suggestion: FleetSuggestion
  private let suggestionPlaces: [UInt64]
  private var time = 0.0
  private var used = 0.0
  private var ready = 0.0

  /// Files are multiples of a huge page.
  private static let unit = UInt64(2) << 20

  /// A simulation that has not begun.
  ///
  /// - Complexity: O(guests · log guests + hosts).
  package init(_ options: FleetOptions) {
    self.options = options
    plan = ArrivalPlan(options.guests)
    events = GuestEvent.all(of: plan).filter { $0.kind != .round }
    var byNode: [UInt64: [Int]] = [:]
    for level in options.levels {
      var counts = byNode[level.size.rawValue] ?? Array(repeating: 0, count: options.nodes)
      for number in 0..<level.count { counts[number % options.nodes] += 1 }
      byNode[level.size.rawValue] = counts
    }
    let sizes = byNode.keys.sorted()
    self.sizes = sizes
    nodes = (0..<options.hosts * options.nodes).map { number in
      FleetNode(
        capacity: options.memory.rawValue / UInt64(options.nodes), sizes: sizes,
        target: sizes.map { byNode[$0]?[number % options.nodes] ?? 0 })
    }
    ready = nodes.reduce(0) { $0 + Double($1.readyBytes) }
    places = Array(repeating: -1, count: plan.guests.count)
    suggestionPlaces = Set(plan.guests.map { Self.fileSize($0.size) }).sorted()
    suggestion = FleetSuggestion(
      hosts: options.hosts, sizes: suggestionPlaces, rate: Double(options.fillRate.rawValue))
  }

  private static func fileSize(_ size: ByteCount) -> UInt64 {
    (size.rawValue + unit - 1) / unit * unit
  }

  /// The simulated time in seconds.
  package var duration: Double { plan.duration }

  /// Runs the simulation.
  ///
  /// - Parameter progress: gets the simulated seconds that have passed, now and then.
  /// - Complexity: O(arrivals · nodes).
  package mutating func run(progress: (Double) -> Void = { _ in }) -> FleetFigures {
    for number in nodes.indices { fill(number) }
    for (index, event) in events.enumerated() {
      endFills(until: event.time)
      pass(until: event.time)
      switch event.kind {
      case .arrival: arrive(event.guest)
      case .departure: depart(event.guest)
      case .round: break
      }
      if index % 1024 == 0 { progress(event.time) }
    }
    endFills(until: plan.duration)
    pass(until: plan.duration)
    if plan.duration > 0 {
      figures.usedMean /= plan.duration
      figures.readyMean /= plan.duration
    }
    figures.suggestion = suggestion.levels
    return figures
  }

  /// Adds what is used and ready until a time to the means.
  private mutating func pass(until next: Double) {
    let seconds = next - time
    guard seconds > 0 else { return }
    figures.usedMean += used * seconds
    figures.readyMean += ready * seconds
    time = next
  }

  private mutating func arrive(_ number: Int) {
    let size = Self.fileSize(plan.guests[number].size)
    let isAtStart = plan.guests[number].arrival == 0
    if isAtStart { figures.initial += 1 } else { figures.arrived += 1 }
    if !isAtStart, let (node, file) = find({ $0.readyFile(for: size) }) {
      change(node) { $0.lease(file, size) }
      figures.ready += 1
      place(number, node, size)
      return
    }
    if !isAtStart {
      figures.strandedSum += ready
      figures.strandedMost = max(figures.strandedMost, ByteCount(UInt64(ready)))
    }
    guard let (node, _) = find({ $0.hasRoom(for: size) ? 0 : nil }) else {
      figures.refused += 1
      figures.refusedBytes += ByteCount(size)
      return
    }
    change(node) { $0.populate(size) }
    if !isAtStart {
      figures.delayed += 1
      figures.waits.append(Float(Double(size) / Double(options.fillRate.rawValue)))
    }
    place(number, node, size)
  }

  private mutating func place(_ number: Int, _ node: Int, _ size: UInt64) {
    places[number] = Int32(node)
    used += Double(size)
    let guest = plan.guests[number]
    if guest.arrival > 0, let place = suggestionPlaces.firstIndex(of: size) {
      suggestion.arrive(at: guest.arrival, host: node / options.nodes, place: place)
    }
    fill(node)
  }

  private mutating func depart(_ number: Int) {
    guard places[number] >= 0 else { return }
    let size = Self.fileSize(plan.guests[number].size)
    let node = Int(places[number])
    change(node) { $0.release(size) }
    used -= Double(size)
    fill(node)
  }

  /// The node that the placement prefers of those for which `match` returns a value, and that
  /// value.
  private func find(_ match: (FleetNode) -> Int?) -> (node: Int, value: Int)? {
    var best: (node: Int, value: Int, room: UInt64)?
    for number in nodes.indices {
      let room = nodes[number].free + nodes[number].readyBytes
      if let best {
        switch options.placement {
        case .firstFit: return (best.node, best.value)
        case .bestFit: if room >= best.room { continue }
        case .spread: if room <= best.room { continue }
        }
      }
      if let value = match(nodes[number]) { best = (number, value, room) }
    }
    return best.map { ($0.node, $0.value) }
  }

  private mutating func change(_ node: Int, _ body: (inout FleetNode) -> Void) {
    let before = nodes[node].readyBytes
    body(&nodes[node])
    ready += Double(nodes[node].readyBytes) - Double(before)
  }

  /// Lets a node begin to fill, if it is not filling and lacks files.
  private mutating func fill(_ node: Int) {
    guard let bytes = nodes[node].beginFilling() else { return }
    // The nodes of a host share its rate.
    let rate = Double(options.fillRate.rawValue) / Double(options.nodes)
    fills.insert(time + Double(bytes) / rate, node)
  }

  private mutating func endFills(until limit: Double) {
    while let (end, node) = fills.first, end <= limit {
      fills.removeFirst()
      pass(until: end)
      change(node) { $0.endFilling() }
      fill(node)
    }
  }
}
