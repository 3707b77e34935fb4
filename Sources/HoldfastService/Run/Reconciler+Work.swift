internal import HoldfastCore
internal import HoldfastReservoir
internal import Logging
internal import Synchronization

extension Reconciler {
  /// Fills what the levels lack, one file at a time, so that a part of a level is ready where the
  /// host has no room for all of it, and concurrent leases are noticed.
  func fillLevels(_ configuration: ServiceConfiguration) {
    for level in configuration.levels {
      attempt(.level(level), "fill") { () throws(HoldfastError) in
        while !cancellation.isCancelled, configuration == self.configuration {
          let status = try self.status()
          let ready = level.ready(in: status)
          if ready >= level.count { return }
          try fill(level, ready + 1, configuration)
          // Orphans need not wait until a level of terabytes is full.
          collectIfDue(configuration)
        }
      }
    }
  }

  private func fill(
    _ level: ServiceConfiguration.Level, _ count: Int, _ configuration: ServiceConfiguration
  ) throws(HoldfastError) {
    notifications.status("filling \(level)")
    let pace = Pace(configuration.rate)
    var options = FillOptions(
      threads: configuration.fillThreads, reservesHugePages: configuration.reservesHugePages)
    options.removesLeftovers = false
    let report = try reservoir.fill(
      FillPlan([.init(count: count, size: level.size)], node: level.node), options: options,
      cancellation: cancellation
    ) { progress in
      // This fill waits for another one.
      if progress.total == .zero { pace.restart() }
      pace.wait(progress.done, self.cancellation) { self.noteProgress() }
    }
    if report.bytes > .zero {
      logger.info("\(report.bytes) made ready in \(Duration.seconds(pace.seconds).shortText)")
    }
  }

  /// Collects orphans where that is due.
  func collectIfDue(_ configuration: ServiceConfiguration) {
    let interval = configuration.collectInterval.nanoseconds
    let last = lastCollection.load(ordering: .relaxed)
    guard !cancellation.isCancelled, last == 0 || Clock.monotonic - last >= interval else { return }
    collect(configuration)
    lastCollection.store(Clock.monotonic, ordering: .relaxed)
  }

  /// Collects what dead processes left behind.
  private func collect(_ configuration: ServiceConfiguration) {
    attempt(.collection, "collect") { () throws(HoldfastError) in
      let start = Clock.monotonic
      let report = try reservoir.collect(configuration.collecting, cancellation: cancellation) {
        self.noteProgress()
      }
      let count = report.removed + report.recycled + report.released
      metrics.with {
        $0.removed += UInt64(report.removed)
        $0.collectedBytes &+= report.bytes.rawValue
        for _ in report.failed { $0.fail("collect", "lease") }
        if count > 0 { $0.collectSeconds.add(Double(Clock.monotonic - start) / 1e9) }
      }
      for failure in report.failed { logger.warning("cannot collect \(failure)") }
      if count > 0 {
        logger.info(
          """
          collected: \(report.recycled) ready again, \(report.released) returned to the host, \
          \(report.removed) unfinished removed
          """
        )
      }
    }
  }
}
