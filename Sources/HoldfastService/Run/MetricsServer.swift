internal import HoldfastCore
internal import HoldfastLinux
internal import Logging
internal import SystemPackage

/// Serves the metrics over HTTP and writes them to a file, on a thread of its own, so that they are
/// available during a long fill too.
///
/// HTTP/1.1, one connection after the other, each closed after its response: enough for a collector
/// on the same host, which sends a few requests a minute. A client that sends nothing for half a
/// second is disconnected.
final class MetricsServer: Sendable {
  private let reconciler: Reconciler
  private let socket: ListeningSocket?
  private let wakeup: Wakeup
  private let cancellation = CancellationToken()

  init(_ reconciler: Reconciler, _ socket: ListeningSocket?) throws(Errno) {
    self.reconciler = reconciler
    self.socket = socket
    wakeup = try Wakeup()
  }

  func stop() {
    cancellation.cancel()
    wakeup.wake()
  }

  func run() {
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
      if wakeup.wait(min(left, .seconds(1)), or: socket?.descriptor ?? -1),
        let connection = socket?.accept()
      {
        serve(connection)
      }
    }
  }

  private func page() -> String {
    let status = try? reconciler.status()
    return reconciler.metrics.with { $0 }.text(status, levels: reconciler.configuration.levels)
  }

  private func writeFile(_ path: String) {
    do throws(Errno) {
      try TextFile.replace(path, with: page())
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

  private func serve(_ connection: Connection) {
    guard let head = connection.readHead() else { return }
    let words = String(decoding: head.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
      .split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
      return connection.write(answer("400 Bad Request", "the request is not HTTP/1\n"))
    }
    guard words[0] == "GET" || words[0] == "HEAD" else {
      return connection.write(
        answer("405 Method Not Allowed", "GET\n", more: "Allow: GET, HEAD\r\n"))
    }
    let isHead = words[0] == "HEAD"
    switch words[1].prefix(while: { $0 != "?" }) {
    case "/metrics":
      connection.write(
        answer("200 OK", page(), type: "text/plain; version=0.0.4; charset=utf-8", isHead: isHead))
    case "/healthz":
      // A fill notes progress with every 64 MiB, the work itself every 10 seconds.
      let seconds = reconciler.secondsWithoutProgress
      connection.write(
        seconds < 60
          ? answer("200 OK", "ok\n", isHead: isHead)
          : answer(
            "503 Service Unavailable", "no progress for \(Int(seconds)) s\n", isHead: isHead))
    default:
      connection.write(answer("404 Not Found", "/metrics, /healthz\n", isHead: isHead))
    }
  }

  private func answer(
    _ status: String, _ body: String, type: String = "text/plain; charset=utf-8",
    more: String = "", isHead: Bool = false
  ) -> String {
    "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n"
      + "Cache-Control: no-store\r\n\(more)Connection: close\r\n\r\n" + (isHead ? "" : body)
  }
}
