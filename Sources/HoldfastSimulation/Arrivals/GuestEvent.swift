/// An event of a guest, at a simulated time in seconds.
struct GuestEvent {
  enum Kind: UInt8 {
    // In the order in which they happen at the same time: a guest that arrives finds the memory of
    // guests that depart.
    case departure, round, arrival
  }

  var time: Double
  var guest: Int
  var kind: Kind

  /// The events of a plan up to its end, in order.
  static func all(of plan: ArrivalPlan) -> [GuestEvent] {
    var events: [GuestEvent] = []
    for (number, guest) in plan.guests.enumerated() {
      events.append(GuestEvent(time: guest.arrival, guest: number, kind: .arrival))
      if guest.departure <= plan.duration {
        events.append(GuestEvent(time: guest.departure, guest: number, kind: .departure))
      }
      guard guest.kind != .wired else { continue }
      let step = (guest.departure - guest.arrival) / Double(Simulation.rounds)
      for round in 1..<Simulation.rounds where guest.arrival + Double(round) * step < plan.duration
      {
        events.append(
          GuestEvent(time: guest.arrival + Double(round) * step, guest: number, kind: .round))
      }
    }
    events.sort {
      ($0.time, $0.kind.rawValue, $0.guest) < ($1.time, $1.kind.rawValue, $1.guest)
    }
    return events
  }
}
