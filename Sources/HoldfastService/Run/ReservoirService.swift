internal import CHoldfastLinux
public import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
public import Logging
internal import SystemPackage

/// The service of `holdfast reservoir serve`: it keeps a reservoir's levels filled and collects
/// orphans until SIGTERM or SIGINT, and reads its configuration again on SIGHUP.
public struct ReservoirService: Sendable {
  private let file: String
  private let configuration: ServiceConfiguration
  private let logger: Logger

  /// Reads the configuration.
  ///
  /// - Parameters:
  ///   - file: the path of the configuration.
  ///   - logger: receives the service's messages.
  /// - Throws: ``HoldfastError`` with the code `invalidArgument`, whose reason begins with the file
  ///   and the line, or `host` where the file cannot be read.
  public init(configuration file: String, logger: Logger) throws(HoldfastError) {
    self.file = file
    self.logger = logger
    configuration = try ServiceConfiguration(file: file)
  }

  /// Checks what the configuration asks of this host: whether the nodes of the levels have memory,
  /// and whether the sizes suit the reservoir, if it exists. `run` would find this out only when it
  /// fills.
  ///
  /// - Throws: ``HoldfastError`` with the code `invalidArgument`, whose reason begins with the file.
  public func check() throws(HoldfastError) {
    let host = HostProbe().host()
    let mount = configuration.mount ?? (try? ReservoirMounts.only())
    let reservoir = mount.flatMap { try? Reservoir(mount: $0) }
    for level in configuration.levels {
      func fail(_ reason: String) -> HoldfastError {
        HoldfastError(
          configuration: file, line: nil,
          "[level] files = \(level.count)x\(level.size.shortDescription): " + reason)
      }
      if let page = reservoir?.pageSize, !level.size.isMultiple(of: page) {
        throw fail("the size is not a multiple of the reservoir's page size, \(page)")
      }
      guard let node = level.node else { continue }
      do throws(HoldfastError) {
        try HostNodes.bind(node).check(host)
      } catch {
        throw fail("node \(node): \(error.reason)")
      }
    }
  }

  /// Sets the priority of the calling thread, which the threads inherit that it starts to fill and
  /// scrub.
  private func setPriority() {
    var status: Int32 = 0
    switch configuration.priority {
    case .normal: return
    case .low: status = hf_thread_set_nice(19)
    case .idle: status = hf_thread_set_idle()
    }
    if status < 0 {
      logger.warning(
        "cannot set the priority '\(configuration.priority.rawValue)': \(Errno(rawValue: -status))"
      )
    }
  }

  /// Raises the limit of open files, since connections and leases use some each. The soft limit
  /// is that of programs which use select(2).
  ///
  /// - Returns: the number of HTTP connections that leave enough for the work.
  private func raiseDescriptorLimit() -> HTTPServer.Limits {
    var limits = HTTPServer.Limits()
    let descriptors = hf_raise_descriptor_limit()
    if descriptors < 0 {
      logger.warning("cannot raise the limit of open files: \(Errno(rawValue: -descriptors))")
    } else {
      limits.connections = max(1, min(limits.connections, Int(descriptors) / 8))
    }
    return limits
  }

  /// Runs until a signal ends it. An unfinished file is unlinked, or left to the next collection
  /// where that would take more than 1.5 seconds.
  ///
  /// - Throws: ``HoldfastError`` with the code `noReservoir`, also where the path of the mount
  ///   leads to other folders than at the start; `untrusted`; `notPermitted` where this user may
  ///   not fill; or `host` where the service cannot listen on the configured port.
  public func run() throws {
    let limits = raiseDescriptorLimit()
    let metrics = Locked(ServiceMetrics())
    let reservoir = try Reservoir(
      mount: try configuration.mount ?? ReservoirMounts.only()
    ) { event in
      // The service's own failures are counted where they are handled.
      if event.failure == nil { metrics.with { $0.count(event) } }
    }
    let socket = try listen()
    let notifications = NotificationSocket()
    let wakeup = try Wakeup()
    let reconciler = Reconciler(
      reservoir, metrics, configuration, notifications: notifications, wakeup: wakeup,
      logger: logger)
    let server = try MetricsServer(reconciler, socket, limits)
    let listener = try EventListener(reconciler)
    let leases = try LeaseListener(reconciler)

    // From here on these signals do not end the process.
    let threads = ServiceThreads()
    let parts = [
      ServiceThreads.Part(name: "holdfast-metric", body: server.run, stop: server.stop),
      ServiceThreads.Part(name: "holdfast-events", body: listener.run, stop: listener.stop),
      ServiceThreads.Part(name: "holdfast-leases", body: leases.run, stop: leases.stop),
      ServiceThreads.Part(
        name: "holdfast-work",
        body: {
          notifications.ready("checking the levels")
          setPriority()
          reconciler.run()
        },
        stop: {
          notifications.stopping()
          reconciler.stop()
        }),
    ]
    logger.notice(
      "serving \(reservoir.path)\(socket.map { _ in ", metrics at \(address(socket))" } ?? "")")
    try threads.run(parts) { reconciler.reload(file) }
    if let error = reconciler.end.with({ $0 }) { throw error }
    logger.notice("stopped")
  }

  private func listen() throws(HoldfastError) -> ListeningSocket? {
    guard let listener = configuration.listener else { return nil }
    do throws(Errno) {
      return try ListeningSocket(listener)
    } catch {
      throw HoldfastError(
        .host, operation: "listen on \(listener)", reason: "the kernel refused the address",
        errno: error.rawValue, advice: .other("another port in \(file)"))
    }
  }

  private func address(_ socket: ListeningSocket?) -> String {
    guard var listener = configuration.listener, let socket else { return "" }
    listener.port = socket.port
    return "http://\(listener)/metrics"
  }
}
