internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import Logging
internal import Synchronization

/// Compares the levels with the ready files, fills what is missing and collects orphans, at
/// intervals, on a thread of its own.
///
/// It has no state that the file system lacks, so it may be killed at any time. Two of them do no
/// harm: fills wait for each other and count again, and only one process succeeds in renaming a
/// file.
final class Reconciler: Sendable {
  let reservoir: Reservoir
  let metrics: Locked<ServiceMetrics>
  let notifications: NotificationSocket
  let logger: Logger
  private let current: Locked<ServiceConfiguration>
  private let wakeup: Wakeup
  let cancellation = CancellationToken()
  /// Why the last reload failed, for the status line.
  let reloadProblem = Locked<String?>(nil)
  /// When orphans were last collected, by the monotonic clock; 0 for never.
  let lastCollection = Atomic<UInt64>(0)
  private let lastProgress = Atomic<UInt64>(Clock.monotonic)
  /// What failed when it was last tried.
  let failures = Locked(WorkFailures())
  /// Why the service cannot go on, if so.
  let end = Locked<HoldfastError?>(nil)
  /// The time after which a collection gives way to fills.
  private let collectionTime: Duration
  /// The offset of the clocks at the start.
  private let startOffset = Clock.offset
  /// When the path was last checked during a fill, by the monotonic clock.
  let lastPlaceCheck = Atomic<UInt64>(0)
  /// Since when a fill has waited for one in another process, by the monotonic clock; 0 for no
  /// wait.
  let waitingSince = Atomic<UInt64>(0)

  init(
    _ reservoir: Reservoir, _ metrics: Locked<ServiceMetrics>,
    _ configuration: ServiceConfiguration, notifications: NotificationSocket, wakeup: Wakeup,
    logger: Logger, collectionTime: Duration = .seconds(10)
  ) {
    self.reservoir = reservoir
    self.collectionTime = collectionTime
    self.metrics = metrics
    current = Locked(configuration)
    self.notifications = notifications
    self.wakeup = wakeup
    self.logger = logger
  }

  var configuration: ServiceConfiguration { current.with { $0 } }

  /// Changes to another configuration at once.
  func change(to configuration: ServiceConfiguration) {
    current.with { $0 = configuration }
    failures.with { $0.retry(configuration) }
    wakeup.wake()
  }

  /// Ends the work, also during a fill, whose unfinished file is unlinked.
  func stop() {
    cancellation.cancel()
    wakeup.wake()
  }

  /// The seconds since the last progress.
  var secondsWithoutProgress: Double {
    Double(Clock.monotonic - min(lastProgress.load(ordering: .relaxed), Clock.monotonic)) / 1e9
  }

  /// Notes progress, for the watchdog and for `/healthz`. May be called from any thread, at any
  /// frequency.
  func noteProgress() {
    lastProgress.store(Clock.monotonic, ordering: .relaxed)
    notifications.keepAlive()
  }

  /// How to collect at an offset of the clocks.
  ///
  /// The age of a lease is the time since the boot that its file has. A lease without that time, of
  /// an earlier version for example, is as old as the wall clock says. If that was set forward by a
  /// year, as after a boot without a battery, all these leases would be a year older, so the
  /// difference is not counted. A clock that is set back makes them younger.
  func collectOptions(
    _ configuration: ServiceConfiguration, offset: Double = Clock.offset
  ) -> CollectOptions {
    var options = configuration.collecting
    options.limit = collectionTime
    let forward = offset - startOffset
    if forward > 1 { options.clockAdvance = .seconds(min(forward, 1e12)) }
    return options
  }

  /// Works until ``stop()``, or until the service cannot go on.
  func run() {
    while !cancellation.isCancelled {
      noteProgress()
      let configuration = configuration
      guard isInPlace() else { break }
      // Before the levels, since recycled orphans count towards them.
      let isDone = collectIfDue(configuration)
      fillLevels(configuration)
      if !cancellation.isCancelled { notifications.status(summary(configuration)) }
      let end = Clock.monotonic + configuration.interval.nanoseconds
      // A collection that is not done goes on at once.
      while isDone, !cancellation.isCancelled, Clock.monotonic < end,
        configuration == self.configuration
      {
        noteProgress()
        let left = Duration.nanoseconds(Int64(end - min(end, Clock.monotonic)))
        _ = wakeup.wait(min(left, notifications.watchdog.map { $0 / 4 } ?? left, .seconds(10)))
        guard isInPlace() else { break }
      }
    }
  }

  /// Reads the status of the reservoir.
  func status() throws(HoldfastError) -> ReservoirStatus {
    do throws(HoldfastError) {
      let status = try reservoir.status()
      succeed(.status, "status")
      return status
    } catch {
      fail(.status, "status", error)
      throw error
    }
  }

  /// The status line, for people.
  private func summary(_ configuration: ServiceConfiguration) -> String {
    guard let status = try? self.status() else {
      return "the status of the reservoir cannot be read"
    }
    let levels = configuration.levels.map { level in
      "\(level.ready(in: status.rows)) of \(level.count)x\(level)"
    }
    let problems = [
      reloadProblem.with { $0 }, failures.with { $0.line(configuration.levels) },
    ]
    return (["ready: " + levels.joined(separator: ", ")] + problems.compactMap { $0 })
      .joined(separator: "; ")
  }
}

extension ServiceConfiguration.Level: CustomStringConvertible {
  /// The size, with the node where there is one: `10G@1`.
  public var description: String { Self.name(size, node) }

  /// The name of files of a size, and a node where there is one: `10G@1`.
  static func name(_ size: ByteCount, _ node: NodeID?) -> String {
    size.shortDescription + (node.map { "@\($0.rawValue)" } ?? "")
  }

  /// The number of ready files that count towards the level, as in a fill.
  func ready(in rows: [ReservoirStatus.Row]) -> Int {
    rows.reduce(0) {
      $0 + ($1.size == size && (node == nil || $1.node == node) ? $1.ready : 0)
    }
  }
}
