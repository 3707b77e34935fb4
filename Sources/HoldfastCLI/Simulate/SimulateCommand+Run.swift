internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastSimulation

extension SimulateCommand {
  /// Runs the simulation, and where it is wanted the one without blocks of 1 GiB.
  func simulate() throws -> (Simulation.Result, BlockComparison?) {
    let progress = ProgressBar()
    Signals.watch { progress.finish() }
    progress.start()
    defer { progress.finish() }
    var options = options
    if let trace {
      progress.begin("reading")
      options.trace = try TraceFile.read(trace) { done, all in
        if let all { progress.update(.bytes(done: done, total: all)) }
      }
    }
    progress.begin("simulating")
    let result = try simulate(options, progress)
    guard blocks == .both else { return (result, nil) }
    options.blocks = .superpage
    progress.begin("simulating with superpages")
    return (result, BlockComparison(with: result, without: try simulate(options, progress)))
  }

  /// Simulates a fleet, and prints the result.
  func run(hosts: Int, memory: ByteCount) throws {
    let file = fleet.suggestLevels.map {
      OutputFile(path: $0, what: "ConfigMap", advice: "another --suggest-levels")
    }
    try file?.check()
    let progress = ProgressBar()
    Signals.watch { progress.finish() }
    progress.start()
    defer { progress.finish() }
    var guests = options
    // Every guest gets whole files.
    guests.forkShare = 0
    guests.pagedShare = 0
    if let trace {
      progress.begin("reading")
      guests.trace = try TraceFile.read(trace) { done, all in
        if let all { progress.update(.bytes(done: done, total: all)) }
      }
    }
    progress.begin("simulating")
    let options = fleet.options(hosts: hosts, memory: memory, guests)
    var simulation = Fleet(options)
    let duration = simulation.duration
    let figures = simulation.run { seconds in
      progress.update(
        .steps(
          done: Int(seconds), total: Int(duration),
          name: "hour \(decimal(seconds / 3600, places: 1))"))
    }
    progress.finish()
    let report = FleetReport(options, figures, duration: duration)
    try file?.write(report.configMap)
    try output.write(report, text: report.text)
  }

  private func simulate(
    _ options: SimulationOptions, _ progress: ProgressBar
  ) throws -> Simulation.Result {
    var simulation = Simulation(options, recordsOutcomes: blocks == .both) {
      Instant.now.nanosecondsSinceBoot
    }
    let faults = simulation.faultEstimate
    guard faults <= SimulateCommand.mostFaults else {
      progress.finish()
      throw CLIError(
        "the simulation would have about \(grouped(faults)) page faults, more than "
          + "\(grouped(SimulateCommand.mostFaults)); try: a smaller --dirty, --paged or --forks, "
          + "fewer --guests, or a shorter --duration",
        status: ExitCode.validationFailure.rawValue)
    }
    let duration = simulation.duration
    let hours = duration / 3600
    return simulation.run { seconds in
      progress.update(
        .steps(
          done: Int(seconds), total: Int(duration),
          name: "hour \(decimal(seconds / 3600, places: 1)) of \(decimal(hours, places: 1))"))
    }
  }
}
