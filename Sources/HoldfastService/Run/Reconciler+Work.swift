internal import Glibc
internal import HoldfastCore
internal import HoldfastReservoir
internal import Logging
internal import Synchronization

extension Reconciler {
  /// Fills what the levels lack, a file at a time, so that a part of a level is ready where the host has
  /// no room for all of it, and what was leased meanwhile counts.
  func fillLevels(_ configuration: ServiceConfiguration) {
    for level in configuration.levels {
      attempt(.level(level), "fill") { () throws(HoldfastError) in
        while !cancellation.isCancelled, configuration == self.configuration {
          let status = try look()
          let ready = level.ready(in: status)
          if ready >= level.count { return }
          try fill(level, ready + 1, configuration)
          // What dead processes left is ready again long before a level of terabytes is full.
          collectIfDue(configuration)
        }
      }
    }
  }

  private func fill(
    _ level: ServiceConfiguration.Level, _ count: Int, _ configuration: ServiceConfiguration
  ) throws(HoldfastError) {
    manager.status("filling \(level)")
    let pace = Pace(configuration.rate)
    var options = FillOptions(
      threads: configuration.fillThreads, reservesHugePages: configuration.reservesHugePages)
    options.removesLeftovers = false
    let report = try reservoir.fill(
      FillPlan([.init(count: count, size: level.size)], node: level.node), options: options,
      cancellation: cancellation
    ) { progress in
      // Another one fills, and this one waits its turn.
      if progress.total == .zero { pace.begin() }
      pace.wait(progress.done, self.cancellation) { self.beat() }
    }
    if report.bytes > .zero { logger.info("\(report.bytes) made ready in \(pace.seconds) s") }
  }

  /// Collects where that is due.
  func collectIfDue(_ configuration: ServiceConfiguration) {
    let interval = Clock.nanoseconds(configuration.collectInterval)
    let last = lastCollection.load(ordering: .relaxed)
    guard !cancellation.isCancelled, last == 0 || Clock.monotonic - last >= interval else { return }
    collect(configuration)
    lastCollection.store(Clock.monotonic, ordering: .relaxed)
  }

  /// Takes away what dead processes left.
  private func collect(_ configuration: ServiceConfiguration) {
    attempt(.collection, "collect") { () throws(HoldfastError) in
      let start = Clock.monotonic
      let report = try reservoir.collect(configuration.collecting, cancellation: cancellation) {
        self.beat()
      }
      let count = report.removed + report.recycled + report.unlinked
      figures.with {
        $0.removed += UInt64(report.removed)
        $0.collectedBytes &+= report.bytes.rawValue
        for _ in report.failed { $0.fail("collect", "lease") }
        if count > 0 { $0.collectSeconds.add(Double(Clock.monotonic - start) / 1e9) }
      }
      for failure in report.failed { logger.warning("cannot collect \(failure)") }
      if count > 0 {
        logger.info(
          "collected: \(report.recycled) ready again, \(report.unlinked) given back, \(report.removed) unfinished taken away"
        )
      }
    }
  }
}

/// Holds a fill back to a rate, and measures it without the time that it waited for its turn.
private final class Pace: Sendable {
  private let rate: UInt64?
  private let start = Atomic<UInt64>(Clock.monotonic)

  init(_ rate: ByteCount?) { self.rate = rate?.rawValue }

  func begin() { start.store(Clock.monotonic, ordering: .relaxed) }

  var seconds: Double {
    Double(Clock.monotonic - start.load(ordering: .relaxed)) / 1e9
  }

  /// Waits until so many bytes may be done or the work is cancelled; calls `beat` meanwhile.
  func wait(_ done: ByteCount, _ cancellation: CancellationToken, _ beat: () -> Void) {
    beat()
    guard let rate, done > .zero else { return }
    let due = Double(done.rawValue) / Double(rate)
    while !cancellation.isCancelled {
      let left = due - seconds
      if left <= 0 { return }
      usleep(UInt32(min(left, 0.05) * 1e6) + 1)
      beat()
    }
  }
}
