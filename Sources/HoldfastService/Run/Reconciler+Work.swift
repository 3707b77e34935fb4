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
        var useless = 0
        while useless < Reconciler.mostUselessFills, isInPlace(),
          configuration == self.configuration
        {
          let status = try self.status()
          let ready = level.ready(in: status.rows)
          if ready >= level.count { return }
          if try fill(level, ready + 1, configuration) {
            useless = 0
            // The level is being filled, though it may take hours until it is full.
            succeed(.level(level), "fill")
          } else {
            useless += 1
          }
          // Orphans need not wait until a level of terabytes is full.
          collectIfDue(configuration)
        }
      }
    }
  }

  /// The number of fills in a row that find the level reached, by another process for example,
  /// after which the next round continues.
  private static let mostUselessFills = 4

  /// Fills up to a number of files, and returns whether a file became ready.
  private func fill(
    _ level: ServiceConfiguration.Level, _ count: Int, _ configuration: ServiceConfiguration
  ) throws(HoldfastError) -> Bool {
    notifications.status("filling \(level)")
    let pace = Pace(configuration.rate)
    var options = FillOptions(
      threads: configuration.fillThreads, reservesHugePages: configuration.reservesHugePages)
    options.removesLeftovers = false
    defer { waitingSince.store(0, ordering: .relaxed) }
    let report = try reservoir.fill(
      FillPlan([.init(count: count, size: level.size)], node: level.node), options: options,
      cancellation: cancellation
    ) { progress in
      // This fill waits for another one.
      if progress.total == .zero {
        pace.restart()
        _ = self.waitingSince.compareExchange(
          expected: 0, desired: Clock.monotonic, ordering: .relaxed)
      } else {
        self.waitingSince.store(0, ordering: .relaxed)
      }
      self.checkPlaceIfDue()
      pace.wait(progress.done, self.cancellation) { self.noteProgress() }
    }
    if report.bytes > .zero {
      logger.info("\(report.bytes) made ready in \(Duration.seconds(pace.seconds).shortText)")
    }
    return report.bytes > .zero
  }

  /// The number of files of one kind that a collection logs.
  private static let mostLogged = 10

  /// Collects orphans where that is due, for some time.
  ///
  /// - Returns: whether all were inspected; otherwise it is due again.
  @discardableResult
  func collectIfDue(_ configuration: ServiceConfiguration) -> Bool {
    let interval = configuration.collectInterval.nanoseconds
    let last = lastCollection.load(ordering: .relaxed)
    guard !cancellation.isCancelled, last == 0 || Clock.monotonic - last >= interval else {
      return true
    }
    let isDone = collect(configuration)
    if isDone { lastCollection.store(Clock.monotonic, ordering: .relaxed) }
    return isDone
  }

  /// Collects what dead processes left behind.
  private func collect(_ configuration: ServiceConfiguration) -> Bool {
    var isDone = true
    attempt(.collection, "collect") { () throws(HoldfastError) in
      let start = Clock.monotonic
      let report = try reservoir.collect(
        collectOptions(configuration), cancellation: cancellation
      ) { self.noteProgress() }
      isDone = !report.isCutShort
      let count = report.removed + report.recycled + report.replaced + report.released
      metrics.with {
        $0.removed += UInt64(report.removed)
        $0.collectedBytes &+= report.bytes.rawValue
        for _ in report.failed { $0.fail("collect", "lease") }
        if count > 0 { $0.collectSeconds.add(Double(Clock.monotonic - start) / 1e9) }
      }
      warn("cannot collect", report.failed)
      warn("moved to quarantine:", report.quarantined)
      if count > 0 {
        logger.info(
          """
          collected: \(report.recycled) ready again, \(report.released) returned to the host, \
          \(report.removed) unfinished removed
          """
        )
      }
    }
    return isDone
  }

  /// Logs a line for each file, up to a number.
  private func warn(_ words: String, _ files: [String]) {
    for file in files.prefix(Self.mostLogged) { logger.warning("\(words) \(file)") }
    if files.count > Self.mostLogged {
      logger.warning("\(words) \(files.count - Self.mostLogged) more")
    }
  }
}
