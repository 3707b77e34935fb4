package import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Where a view reads what a service does.
package enum MetricsSource: Hashable, Sendable, CustomStringConvertible {
  /// The service's port.
  case http(ServiceConfiguration.Listener)
  /// The file that the service writes for node_exporter.
  case file(String)

  /// A reading, with what only the service's port says.
  package struct Contents: Hashable, Sendable {
    package var reading: ServiceReading
    /// Why the service is not healthy, in one line; empty for a healthy one, and nil where the
    /// source does not say.
    package var problem: String?

    package init(reading: ServiceReading, problem: String? = nil) {
      self.reading = reading
      self.problem = problem
    }
  }

  /// Reads `127.0.0.1:9816`, `http://localhost:9816/metrics`, or the path of a file.
  ///
  /// - Throws: `Size.Problem`, which says what is wrong.
  package init(typed text: String) throws(Size.Problem) {
    if text.hasPrefix("/") {
      self = .file(try ConfigurationValue.filePath(text))
      return
    }
    var address = text
    if address.hasPrefix("http://") { address.removeFirst("http://".count) }
    for end in ["/metrics", "/"] where address.hasSuffix(end) {
      address.removeLast(end.count)
      break
    }
    let listener = try ServiceConfiguration.Listener(address)
    guard listener.port > 0 else { throw Size.Problem(description: "it has no port") }
    self = .http(listener)
  }

  /// The source that a configuration names, the port before the file.
  ///
  /// - Throws: ``HoldfastError`` with the code `unsupported` where it names none.
  package init(_ configuration: ServiceConfiguration, file: String) throws(HoldfastError) {
    if let listener = configuration.listener, listener.port > 0 {
      self = .http(listener)
    } else if let path = configuration.textfile {
      self = .file(path)
    } else {
      let reason =
        configuration.listener == nil
        ? "[metrics] in \(file) has neither 'listen' nor 'textfile'"
        : "'listen' in \(file) leaves the port to the kernel"
      throw HoldfastError(.unsupported, operation: "", reason: reason)
    }
  }

  package var description: String {
    switch self {
    case .http(let listener): "http://\(listener)/metrics"
    case .file(let path): path
    }
  }

  /// Reads the metrics, and the health where the source says it. Takes at most two seconds.
  ///
  /// - Throws: ``HoldfastError`` with the code `host` or `unsupported`, whose reason is for people.
  package func read() throws(HoldfastError) -> Contents {
    let text: String
    var problem: String?
    switch self {
    case .http(let listener):
      let request = LoopbackRequest(listener: listener)
      text = try get(request, "/metrics").body
      // A service whose metrics were read and that ends now has no health to show.
      if let health = try? request.get("/healthz") {
        problem = health.status == 200 ? "" : String(health.body.prefix { !$0.isNewline })
      }
    case .file(let path):
      text = try TextFile.read(path)
    }
    guard let reading = ServiceReading(text) else {
      throw HoldfastError(
        .unsupported, operation: "", reason: "\(self) has no metrics of a reservoir's service")
    }
    // A file does not say why.
    if problem == nil, let isHealthy = reading.isHealthy {
      problem = isHealthy ? "" : "for the reason in its log"
    }
    return Contents(reading: reading, problem: problem)
  }

  private func get(
    _ request: LoopbackRequest, _ path: String
  ) throws(HoldfastError) -> LoopbackRequest.Answer {
    do throws(Errno) {
      let answer = try request.get(path)
      guard answer.status == 200 else { throw Errno.invalidArgument }
      return answer
    } catch {
      let reason =
        switch error {
        case .connectionRefused: "no service listens at \(request.listener)"
        case .timedOut: "the service at \(request.listener) does not answer"
        default: "\(self) cannot be read"
        }
      throw HoldfastError(.host, operation: "", reason: reason, errno: error.rawValue)
    }
  }
}
