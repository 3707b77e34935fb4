internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import Logging
internal import Synchronization

/// The work: looks at the levels, fills what is missing, collects orphans, again and again, on a thread of
/// its own.
///
/// It keeps nothing that the file system does not have, so it may be killed at any time, and two of them
/// do no harm to each other: fills wait for each other and count anew, and every file is moved by the one
/// rename that succeeds.
final class Reconciler: Sendable {
  let reservoir: Reservoir
  let figures: Locked<ServiceFigures>
  let manager: Manager
  let logger: Logger
  private let current: Locked<ServiceConfiguration>
  private let wakeup: Wakeup
  let cancellation = CancellationToken()
  /// Why the last reload failed, for people who ask the manager.
  let reloadProblem = Locked<String?>(nil)
  /// When orphans were last collected, on the monotonic clock; 0 for never.
  let lastCollection = Atomic<UInt64>(0)
  private let lastBeat = Atomic<UInt64>(Clock.monotonic)
  /// Levels that failed, and collections, are tried again after a while that doubles.
  private let delays = Locked([Task: Delay]())

  enum Task: Hashable {
    case level(ServiceConfiguration.Level)
    case collection
  }

  private struct Delay {
    var failures: Int
    var until: UInt64
    var code: HoldfastError.Code
    var message: String
  }

  init(
    _ reservoir: Reservoir, _ figures: Locked<ServiceFigures>,
    _ configuration: ServiceConfiguration, manager: Manager, wakeup: Wakeup, logger: Logger
  ) {
    self.reservoir = reservoir
    self.figures = figures
    current = Locked(configuration)
    self.manager = manager
    self.wakeup = wakeup
    self.logger = logger
  }

  var configuration: ServiceConfiguration { current.with { $0 } }

  /// Goes on with another configuration, at once.
  func change(to configuration: ServiceConfiguration) {
    current.with { $0 = configuration }
    delays.with { $0 = [:] }
    wakeup.wake()
  }

  /// Ends the work, also in the middle of a fill, whose unfinished file goes.
  func stop() {
    cancellation.cancel()
    wakeup.wake()
  }

  /// Seconds since the work last moved on.
  var silence: Double {
    Double(Clock.monotonic - min(lastBeat.load(ordering: .relaxed), Clock.monotonic)) / 1e9
  }

  /// Notes progress, for the watchdog and for `/healthz`. Called from any thread, as often as one likes.
  func beat() {
    lastBeat.store(Clock.monotonic, ordering: .relaxed)
    manager.beat()
  }

  /// Works until it is stopped.
  func run() {
    while !cancellation.isCancelled {
      beat()
      let configuration = configuration
      // Before a level is filled from the host: orphans may be what it lacks.
      collectIfDue(configuration)
      fillLevels(configuration)
      if !cancellation.isCancelled { manager.status(summary(configuration)) }
      let end = Clock.monotonic + Clock.nanoseconds(configuration.interval)
      while !cancellation.isCancelled, Clock.monotonic < end, configuration == self.configuration {
        beat()
        let left = Duration.nanoseconds(Int64(end - min(end, Clock.monotonic)))
        _ = wakeup.wait(min(left, manager.watchdog.map { $0 / 4 } ?? left, .seconds(10)))
      }
    }
  }

  /// Looks at the reservoir.
  func look() throws(HoldfastError) -> ReservoirStatus {
    do throws(HoldfastError) {
      let status = try reservoir.status()
      figures.with { $0.succeed("look") }
      return status
    } catch {
      figures.with { $0.fail("look", error.code.rawValue) }
      throw error
    }
  }

  /// One line for people who ask the manager.
  private func summary(_ configuration: ServiceConfiguration) -> String {
    guard let status = try? look() else { return "the reservoir cannot be looked at" }
    let levels = configuration.levels.map { level in
      "\(level.ready(in: status)) of \(level.count)x\(level)"
    }
    let problems = [reloadProblem.with { $0 }, delays.with { $0.values.map(\.message).min() }]
    return (["ready: " + levels.joined(separator: ", ")] + problems.compactMap { $0 })
      .joined(separator: "; ")
  }

  /// Does what may fail. After failures in a row it is let be for longer and longer, up to a minute, and
  /// what is said again and again is logged once.
  func attempt(_ task: Task, _ name: String, _ body: () throws(HoldfastError) -> Void) {
    if let delay = delays.with({ $0[task] }), Clock.monotonic < delay.until { return }
    do throws(HoldfastError) {
      try body()
      if delays.with({ $0.removeValue(forKey: task) }) != nil { logger.notice("\(name): again") }
      figures.with { $0.succeed(name) }
    } catch {
      if error.code == .cancelled { return }
      let message = error.description
      figures.with { $0.fail(name, error.code.rawValue) }
      let interval = Clock.nanoseconds(configuration.interval)
      let isNew = delays.with { delays in
        let before = delays[task]
        let failures = (before?.failures ?? 0) + 1
        let pause = min(interval << UInt64(min(failures, 6) - 1), max(interval, 60_000_000_000))
        delays[task] = Delay(
          failures: failures, until: Clock.monotonic + pause, code: error.code, message: message)
        // Messages of one kind differ in the amounts that they tell.
        return before?.code != error.code
      }
      logger.log(level: isNew ? .warning : .debug, "\(message)")
    }
  }
}

extension ServiceConfiguration.Level: CustomStringConvertible {
  /// The size, and the node where there is one: `10G@1`.
  public var description: String {
    size.shortDescription + (node.map { "@\($0.rawValue)" } ?? "")
  }

  /// Files that are ready and count towards the level, as a fill counts them.
  func ready(in status: ReservoirStatus) -> Int {
    status.rows.reduce(0) {
      $0 + ($1.size == size && (node == nil || $1.node == node) ? $1.ready : 0)
    }
  }
}
