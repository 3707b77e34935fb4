internal import Glibc
internal import HoldfastCore

/// The guests of a run in the order of their arrivals, which the options determine.
struct ArrivalPlan {
  private(set) var guests: [GuestPlan] = []
  /// The simulated time in seconds.
  let duration: Double

  private let options: SimulationOptions
  private let traceDuration: Double
  private var random: RandomSource

  /// The mean number of guests in a deployment.
  static let burstMean = 16.0
  /// The seconds between the arrivals of a deployment's guests.
  static let burstGap = 3.0

  init(_ options: SimulationOptions) {
    self.options = options
    random = RandomSource(seed: options.seed)
    traceDuration = Double(options.trace.reduce(1) { max($0, $1.deleted) })
    duration = options.duration?.seconds ?? traceDuration
    switch options.pattern {
    case .steady: steady()
    case .bursts: bursts()
    case .trace: trace()
    }
    // Guests that arrive at the same time keep their order.
    let order = guests.indices.sorted {
      (guests[$0].arrival, $0) < (guests[$1].arrival, $1)
    }
    guests = order.map { guests[$0] }
  }

  private mutating func add(at arrival: Double, for lifetime: Double, _ size: ByteCount) {
    let luck = random.unit()
    let kind: GuestKind =
      luck < options.forkShare
      ? .fork : luck < options.forkShare + options.pagedShare ? .paged : .wired
    guests.append(
      GuestPlan(
        arrival: arrival, departure: arrival + lifetime, size: size, kind: kind,
        seed: random.next()))
  }

  /// All guests that are to run at once run at the start, because exponential lifetimes have no
  /// memory. Further ones arrive at the rate at which these depart (Little's law).
  private mutating func steady() {
    let count = options.guests ?? 0
    let mean = options.lifetime.seconds
    for _ in 0..<count {
      add(at: 0, for: random.exponential(mean: mean), options.sizes.pick(&random))
    }
    guard count > 0 else { return }
    var time = random.exponential(mean: mean / Double(count))
    while time < duration {
      add(at: time, for: random.exponential(mean: mean), options.sizes.pick(&random))
      time += random.exponential(mean: mean / Double(count))
    }
  }

  private mutating func bursts() {
    let count = options.guests ?? 0
    let gap = Self.burstSeconds(options.lifetime.seconds) / Double(max(1, count))
    while guests.count < count { burst(at: 0, limit: count - guests.count) }
    guard count > 0 else { return }
    var time = random.exponential(mean: gap)
    while time < duration {
      burst(at: time, limit: .max)
      time += random.exponential(mean: gap)
    }
  }

  /// The mean of the seconds that all guests of a burst run, together: the sum over their numbers n of
  /// the probability that there is an n-th one, (1 - 1/mean)^n, and what is left of the lifetime
  /// when it arrives, lifetime · e^(-n · gap / lifetime).
  static func burstSeconds(_ lifetime: Double) -> Double {
    lifetime / (1 - (1 - 1 / burstMean) * exp(-burstGap / lifetime))
  }

  private mutating func burst(at time: Double, limit: Int) {
    let size = options.sizes.pick(&random)
    let end = time + random.exponential(mean: options.lifetime.seconds)
    let count = min(limit, random.geometric(mean: Self.burstMean))
    for number in 0..<count {
      let arrival = time + Double(number) * Self.burstGap
      if arrival >= duration || arrival >= end { return }
      add(at: arrival, for: end - arrival, size)
    }
  }

  /// How many guests of the trace run at once in the simulated time, on average.
  private var traceMean: Double {
    let seconds = options.trace.reduce(0.0) { sum, guest in
      let created = Double(guest.created)
      guard created < duration else { return sum }
      return sum + min(created + Double(guest.lifetime), duration) - created
    }
    return seconds / duration
  }

  private mutating func trace() {
    var share = 1.0
    if let guests = options.guests {
      share = min(1, Double(guests) / max(traceMean, .leastNonzeroMagnitude))
    }
    for guest in options.trace where Double(guest.created) < duration {
      guard share == 1 || random.happens(share) else { continue }
      add(at: Double(guest.created), for: Double(guest.lifetime), guest.memory)
    }
  }
}
