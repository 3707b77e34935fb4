internal import CHoldfastLinux
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
public import Logging
internal import ServiceLifecycle
internal import SystemPackage
internal import UnixSignals

/// `holdfast reservoir serve`: keeps a reservoir as its configuration says, until SIGTERM or SIGINT.
/// SIGHUP has the configuration read again.
public struct ReservoirService: Sendable {
  private let file: String
  private let configuration: ServiceConfiguration
  private let logger: Logger

  /// Reads the configuration.
  public init(configuration file: String, logger: Logger) throws(ConfigurationError) {
    self.file = file
    self.logger = logger
    configuration = try ServiceConfiguration(file: file)
  }

  /// Lowers the priority of the calling thread, and so of those that it starts to fill and scrub.
  private func takePriority() {
    var status: Int32 = 0
    switch configuration.priority {
    case .normal: return
    case .low: status = hf_thread_set_nice(19)
    case .idle: status = hf_thread_set_idle()
    }
    if status < 0 {
      logger.warning(
        "the priority '\(configuration.priority.rawValue)' was refused: \(Errno(rawValue: -status))"
      )
    }
  }

  /// Runs until a signal ends it. What is being filled then goes within a second; after that time it is
  /// left to the next command that collects.
  ///
  /// - Throws: ``HoldfastError`` where there is no reservoir, this user may not fill it, or nothing can
  ///   listen where the configuration says.
  public func run() async throws {
    let figures = Locked(ServiceFigures())
    let reservoir = try Reservoir(
      mount: try configuration.mount ?? ReservoirMounts.only()
    ) { event in
      // Its own failures are counted where they are handled.
      if event.failure == nil { figures.with { $0.count(event) } }
    }
    guard reservoir.isOwner else {
      throw HoldfastError(
        .notPermitted, operation: "serve the reservoir",
        reason: "only user \(reservoir.owner), who owns it, and root may do that",
        advice: .becomeRoot)
    }
    let socket = try listen()
    let manager = Manager()
    let wakeup = try Wakeup()
    let keeper = Reconciler(
      reservoir, figures, configuration, manager: manager, wakeup: wakeup, logger: logger)
    let server = try MetricsServer(keeper, socket)
    let listener = try EventListener(keeper)

    // From here on the signals end nothing by themselves.
    let reloads = await UnixSignalsSequence(trapping: .sighup)
    let services: [any Service] = [
      ThreadService(name: "holdfast-metric", body: server.run, stop: server.stop),
      ThreadService(name: "holdfast-events", body: listener.run, stop: listener.stop),
      ThreadService(
        name: "holdfast-keeper",
        body: {
          manager.ready("looking at the levels")
          takePriority()
          keeper.run()
        },
        stop: {
          manager.stopping()
          keeper.stop()
        }),
      ReloadService(signals: reloads, file: file, keeper: keeper),
    ]
    let group = ServiceGroup(
      configuration: .init(
        services: services.map {
          .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
        },
        gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
    logger.notice(
      "keeping \(reservoir.path)\(socket.map { _ in ", metrics at \(address(socket))" } ?? "")")
    try await group.run()
    logger.notice("stopped")
  }

  private func listen() throws(HoldfastError) -> ListeningSocket? {
    guard let listener = configuration.listener else { return nil }
    do throws(Errno) {
      return try ListeningSocket(listener)
    } catch {
      throw HoldfastError(
        .host, operation: "listen at \(listener)", reason: "nobody can be served there",
        errno: error.rawValue, advice: .other("another port in \(file)"))
    }
  }

  private func address(_ socket: ListeningSocket?) -> String {
    guard var listener = configuration.listener, let socket else { return "" }
    listener.port = socket.port
    return "http://\(listener)/metrics"
  }

  /// The group's own words are for those who look for errors in it.
  private var quiet: Logger {
    var quiet = logger
    if quiet.logLevel > .debug { quiet.logLevel = .error }
    return quiet
  }
}

/// A thread as a part of the group: the work blocks, which tasks must not.
private struct ThreadService: Service {
  let name: String
  let body: @Sendable () -> Void
  let stop: @Sendable () -> Void

  /// What the work has left after it was told to stop. Then the process ends as if it had been killed,
  /// which does no harm.
  private static let timeout = Duration.milliseconds(1500)

  func run() async throws {
    let (end, signal) = AsyncStream<Void>.makeStream()
    let thread = try BackgroundThread(name) {
      body()
      signal.finish()
    }
    thread.detach()
    await withTaskCancellationOrGracefulShutdownHandler {
      // A cancelled task would not wait for the stream.
      await Task { for await _ in end {} }.value
    } onCancelOrGracefulShutdown: {
      stop()
      Task {
        try? await Task.sleep(for: ThreadService.timeout)
        signal.finish()
      }
    }
  }
}

/// Reads the configuration again when it is told to.
private struct ReloadService: Service {
  let signals: UnixSignalsSequence
  let file: String
  let keeper: Reconciler

  func run() async throws {
    for await _ in signals.cancelOnGracefulShutdown() { reload() }
  }

  private func reload() {
    keeper.manager.reloading()
    var problem: String?
    do throws(ConfigurationError) {
      let next = try ServiceConfiguration(file: file)
      if let obstacle = keeper.configuration.obstacle(to: next) {
        problem = "\(file): \(obstacle)"
      } else {
        keeper.change(to: next)
      }
    } catch {
      problem = error.description
    }
    keeper.reloadProblem.with { $0 = problem.map { "the old configuration stays: \($0)" } }
    if let problem {
      keeper.figures.with { $0.fail("reload", "configuration") }
      keeper.logger.error("the old configuration stays: \(problem)")
    } else {
      keeper.figures.with { $0.succeed("reload") }
      keeper.logger.notice("\(file) was read again")
    }
    keeper.manager.ready(problem.map { "the old configuration stays: \($0)" } ?? "reloaded")
  }
}
