internal import HoldfastCore
internal import HoldfastLinux
internal import Logging
internal import SystemPackage

/// Serves the metrics over HTTP and writes them to a file, on a thread of its own, so that they are there
/// during a long fill too.
///
/// HTTP/1.1, one connection after the other, each closed after its answer: enough for a collector on the
/// same host, which asks a few times a minute. Who sends nothing is let go after half a second.
final class MetricsServer: Sendable {
  private let keeper: Reconciler
  private let socket: ListeningSocket?
  private let wakeup: Wakeup
  private let cancellation = CancellationToken()

  init(_ keeper: Reconciler, _ socket: ListeningSocket?) throws(Errno) {
    self.keeper = keeper
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
      let configuration = keeper.configuration
      if let path = configuration.textfile, Clock.monotonic >= next {
        writeFile(path)
        next = Clock.monotonic + Clock.nanoseconds(configuration.textfileInterval)
      }
      let left =
        configuration.textfile == nil
        ? Duration.seconds(1) : .nanoseconds(Int64(next - min(next, Clock.monotonic)))
      // A new configuration is seen within a second.
      if wakeup.wait(min(left, .seconds(1)), or: socket?.descriptor ?? -1),
        let connection = socket?.accept()
      {
        serve(connection)
      }
    }
  }

  private func page() -> String {
    let status = try? keeper.look()
    return keeper.figures.with { $0 }.text(status, levels: keeper.configuration.levels)
  }

  private func writeFile(_ path: String) {
    do throws(Errno) {
      try TextFile.replace(path, with: page())
      keeper.figures.with { $0.succeed("textfile") }
    } catch {
      let isFirst = keeper.figures.with {
        $0.fail("textfile", "system")
        return $0.failures[.init(operation: "textfile", code: "system")] == 1
      }
      keeper.logger.log(
        level: isFirst ? .warning : .debug, "cannot write the metrics to \(path): \(error)")
    }
  }

  private func serve(_ connection: Connection) {
    guard let head = connection.readHead() else { return }
    let words = String(decoding: head.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
      .split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
      return connection.write(answer("400 Bad Request", "this is HTTP/1.1\n"))
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
      // A fill of a slow host moves on with every 64 MiB, the work itself every 10 seconds.
      let silence = keeper.silence
      connection.write(
        silence < 60
          ? answer("200 OK", "ok\n", isHead: isHead)
          : answer(
            "503 Service Unavailable", "nothing has moved for \(Int(silence)) s\n", isHead: isHead))
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
