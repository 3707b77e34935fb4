internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import Logging
internal import SystemPackage

/// Serves the metrics and a page for people over HTTP and writes the metrics to a file, on a thread
/// of its own, so that they are available during a long fill too.
///
/// Each request computes the metrics anew, within the bounds of the reservoir's listings.
final class MetricsServer: Sendable {
  private let reconciler: Reconciler
  private let socket: ListeningSocket?
  private let limits: HTTPServer.Limits
  private let wakeup: Wakeup
  private let cancellation = CancellationToken()
  /// The templates, and when they are read again, by the monotonic clock.
  private let readings = Locked<(templates: [TemplateReading], next: UInt64)>(([], 0))

  init(
    _ reconciler: Reconciler, _ socket: ListeningSocket?, _ limits: HTTPServer.Limits
  ) throws(Errno) {
    self.limits = limits
    self.reconciler = reconciler
    self.socket = socket
    wakeup = try Wakeup()
  }

  func stop() {
    cancellation.cancel()
    wakeup.wake()
  }

  func run() {
    var server = socket.map { HTTPServer($0, limits: limits) }
    var view = StatusView()
    var next: UInt64 = 0
    while !cancellation.isCancelled {
      let configuration = reconciler.configuration
      if let path = configuration.textfile, Clock.monotonic >= next {
        writeFile(path)
        next = Clock.monotonic + configuration.textfileInterval.nanoseconds
      }
      let left =
        configuration.textfile == nil
        ? Duration.seconds(1) : .nanoseconds(Int64(next - min(next, Clock.monotonic)))
      // A new configuration is noticed within a second.
      let timeout = min(left, .seconds(1))
      if server == nil {
        _ = wakeup.wait(timeout)
      } else {
        view.sampleIfDue(metrics)
        server?.turn(timeout, wakeup) { respond(to: $0, &view) }
      }
    }
  }

  private func metrics() -> String {
    let status = try? reconciler.status()
    return reconciler.metrics.with { $0 }.text(
      status, levels: reconciler.configuration.levels, isHealthy: reconciler.problem == nil,
      templates: templates())
  }

  /// The templates and their clones, read at most every ten seconds, since that takes milliseconds
  /// for each GiB of clones.
  private func templates() -> [TemplateReading] {
    readings.with { readings in
      if Clock.monotonic >= readings.next {
        readings.templates = TemplateReading.all(onMount: reconciler.reservoir.mount)
        readings.next = Clock.monotonic + 10_000_000_000
      }
      return readings.templates
    }
  }

  private func writeFile(_ path: String) {
    do throws(Errno) {
      try TextFile.replace(path, with: metrics())
      reconciler.metrics.with { $0.succeed("textfile") }
    } catch {
      let isFirst = reconciler.metrics.with {
        $0.fail("textfile", HoldfastError.Code.host.rawValue)
        return $0.failures[.init(operation: "textfile", code: HoldfastError.Code.host.rawValue)]
          == 1
      }
      reconciler.logger.log(
        level: isFirst ? .warning : .debug, "cannot write the metrics to \(path): \(error)")
    }
  }

  private func respond(to request: HTTPRequest, _ view: inout StatusView) -> HTTPResponse {
    guard request.method == "GET" || request.method == "HEAD" else {
      return HTTPResponse("405 Method Not Allowed", "GET\n", field: "Allow: GET, HEAD\r\n")
    }
    switch request.path {
    case "/":
      return view.html(metrics, path: reconciler.reservoir.path, problem: reconciler.problem)
    case "/status.json":
      return view.json(metrics, path: reconciler.reservoir.path, problem: reconciler.problem)
    case "/metrics":
      return HTTPResponse("200 OK", metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
    case "/healthz":
      return reconciler.problem.map { HTTPResponse("503 Service Unavailable", $0 + "\n") }
        ?? HTTPResponse("200 OK", "ok\n")
    default:
      return HTTPResponse("404 Not Found", "/, /status.json, /metrics, /healthz\n")
    }
  }
}
