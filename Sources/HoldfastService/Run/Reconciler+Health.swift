internal import HoldfastCore
internal import HoldfastReservoir
internal import Logging
internal import Synchronization

/// Which work fails, and whether the service can go on.
extension Reconciler {
  /// The time without progress after which the service is not healthy: a fill notes progress with
  /// every 64 MiB, the work itself every 10 seconds.
  private static let longestSilence = 60.0
  /// The longest wait for fills in other processes, which may be stopped.
  private static let longestWait = 600.0

  /// Why the service is not healthy, in one line, or nil.
  var problem: String? {
    let silence = secondsWithoutProgress
    if silence >= Self.longestSilence { return "no progress for \(Int(silence)) s" }
    let since = waitingSince.load(ordering: .relaxed)
    let wait = since == 0 ? 0 : Double(Clock.monotonic - min(since, Clock.monotonic)) / 1e9
    if wait >= Self.longestWait {
      return "the levels have waited \(Int(wait)) s for a fill in another process"
    }
    let levels = configuration.levels
    return failures.with { $0.line(levels) }
  }

  /// Does work that may fail. After a failure it is delayed; the delay doubles up to a minute.
  /// Repeated failures of one kind are logged once.
  func attempt(_ work: Work, _ name: String, _ body: () throws(HoldfastError) -> Void) {
    if failures.with({ $0.isDelayed(work, at: Clock.monotonic) }) { return }
    do throws(HoldfastError) {
      try body()
      succeed(work, name)
    } catch {
      if error.code == .cancelled { return }
      // The path led elsewhere while the work was done: that alone is said, and ends the service.
      if !isInPlace(), end.with({ $0 != nil }) { return }
      let isNew = fail(work, name, error)
      logger.log(level: isNew ? .warning : .debug, "\(error.description)")
    }
  }

  /// Notes that work succeeded.
  func succeed(_ work: Work, _ name: String) {
    if failures.with({ $0.succeed(work) }) { logger.notice("\(name): succeeds again") }
    metrics.with { $0.succeed(name) }
  }

  /// Notes that work failed, and returns whether that is to be logged.
  @discardableResult
  func fail(_ work: Work, _ name: String, _ error: HoldfastError) -> Bool {
    metrics.with { $0.fail(name, error.code.rawValue) }
    let interval = configuration.interval.nanoseconds
    return failures.with { $0.fail(work, error, interval: interval, at: Clock.monotonic) }
  }

  /// Whether the path of the reservoir still leads to its open folders. Otherwise the work ends: a
  /// supervisor starts the service again, which then opens what is there.
  func isInPlace() -> Bool {
    do throws(HoldfastError) {
      try reservoir.checkPlace()
      if failures.with({ $0.succeed(.place) }) { logger.notice("the path can be looked up again") }
    } catch {
      if error.code == .noReservoir {
        end.with { $0 = error }
        notifications.status(error.description)
        stop()
        return false
      }
      if fail(.place, "status", error) { logger.warning("\(error.description)") }
    }
    return !cancellation.isCancelled
  }

  /// Checks the path during a long fill, every ten seconds. May be called from any thread, at any
  /// frequency.
  func checkPlaceIfDue() {
    let now = Clock.monotonic
    let last = lastPlaceCheck.load(ordering: .relaxed)
    guard now - min(last, now) >= 10_000_000_000,
      lastPlaceCheck.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
    else { return }
    _ = isInPlace()
  }
}
