internal import HoldfastCore
internal import HoldfastReservoir

/// A kind of the service's work, which fails and succeeds on its own.
enum Work: Hashable {
  /// Looking up the path of the reservoir.
  case place
  /// Reading the status of the reservoir.
  case status
  case level(ServiceConfiguration.Level)
  case collection
}

/// The work that failed when it was last tried, with its delay until the next attempt. The service
/// is not healthy as long as there is any: work that waits for its delay has still failed.
struct WorkFailures {
  private struct Failure {
    var count: Int
    var until: UInt64
    /// The code of the logged message, or nil where it is to be logged again.
    var code: HoldfastError.Code?
    var message: String
  }

  private var failures: [Work: Failure] = [:]

  /// Whether work waits for its next attempt.
  func isDelayed(_ work: Work, at now: UInt64) -> Bool {
    failures[work].map { now < $0.until } ?? false
  }

  /// Notes a failure. The delay is the interval and doubles with each failure up to a minute.
  ///
  /// - Returns: whether the failure is of another kind than the one before.
  mutating func fail(
    _ work: Work, _ error: HoldfastError, interval: UInt64, at now: UInt64
  ) -> Bool {
    let before = failures[work]
    let count = (before?.count ?? 0) + 1
    let delay = min(interval.saturatingShift(min(count, 6) - 1), max(interval, 60_000_000_000))
    failures[work] = Failure(
      count: count, until: now + delay, code: error.code, message: error.description)
    // Messages of one kind differ in the sizes that they mention.
    return before?.code != error.code
  }

  /// Notes a success, and returns whether the work failed before.
  mutating func succeed(_ work: Work) -> Bool { failures.removeValue(forKey: work) != nil }

  /// Ends all delays for a new configuration, and forgets levels that it lacks.
  mutating func retry(_ configuration: ServiceConfiguration) {
    for work in failures.keys {
      if case .level(let level) = work, !configuration.levels.contains(level) {
        failures[work] = nil
      } else {
        failures[work]?.until = 0
        failures[work]?.code = nil
      }
    }
  }

  /// One line that says what has failed, or nil.
  func line(_ levels: [ServiceConfiguration.Level]) -> String? {
    let order = [.place, .status] + levels.map { Work.level($0) } + [.collection]
    let messages = order.compactMap { failures[$0]?.message }
    guard let first = messages.first else { return nil }
    return first.printable
      + (messages.count > 1 ? " (and \(messages.count - 1) more failures)" : "")
  }
}
