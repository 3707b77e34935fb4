internal import HoldfastCore

/// Serves HTTP/1.1 on one thread to several clients at once, one response for each connection.
///
/// No client delays another one: nothing waits for a single connection, each connection ends a
/// second after it was accepted, and where more are open than the limit, the oldest one ends. Time
/// that the service itself needs for a response is added to that second.
///
/// Used by one thread.
struct HTTPServer {
  /// The limits of a server.
  struct Limits: Sendable {
    /// The largest number of open connections.
    var connections = 32
    /// The time from the acceptance of a connection to the last byte.
    var time = Duration.seconds(1)
  }

  private let socket: ListeningSocket
  private let limits: Limits
  /// The open connections, the oldest first.
  private var connections: [HTTPConnection] = []
  /// When connections are accepted again after a shortage of descriptors; 0 for now.
  private var pause: UInt64 = 0

  /// The number of connections that one turn accepts, so that it ends.
  private static let mostAccepted = 64

  init(_ socket: ListeningSocket, limits: Limits = Limits()) {
    self.socket = socket
    self.limits = limits
  }

  /// The number of open connections.
  var count: Int { connections.count }

  /// Waits until a client or the wakeup has something, or the time is over, and serves the clients.
  ///
  /// - Parameter respond: makes the response. It should return soon, as all clients wait for it.
  mutating func turn(
    _ timeout: Duration, _ wakeup: Wakeup, _ respond: (HTTPRequest) -> HTTPResponse
  ) {
    var now = Clock.monotonic
    var files = PollSet()
    files.add(wakeup.descriptor, for: .reading)
    for connection in connections {
      files.add(connection.socket.descriptor, for: connection.isWriting ? .writing : .reading)
    }
    let accepts = now >= pause
    if accepts { files.add(socket.descriptor, for: .reading) }
    let next = (connections.map(\.deadline) + (accepts ? [] : [pause])).min() ?? .max
    let left = Duration.nanoseconds(Int64(clamping: next - min(next, now)))
    files.wait(min(timeout, left))

    if files.isReady(0) { wakeup.clear() }
    for (index, connection) in connections.enumerated() where files.isReady(index + 1) {
      advance(connection, respond)
    }
    if accepts, files.isReady(connections.count + 1) { accept(respond) }
    now = Clock.monotonic
    connections.removeAll { $0.hasEnded || $0.deadline <= now }
  }

  private mutating func accept(_ respond: (HTTPRequest) -> HTTPResponse) {
    var isShort = false
    for _ in 0..<HTTPServer.mostAccepted {
      switch socket.accept() {
      case .done(let client):
        isShort = false
        let end = Clock.monotonic + limits.time.nanoseconds
        let connection = HTTPConnection(client, deadline: end)
        // Its request has usually arrived. Served now, it cannot be dropped for the next ones.
        connections.append(connection)
        advance(connection, respond)
        connections.removeAll { $0.hasEnded }
        if connections.count > limits.connections { connections.removeFirst() }
      case .wouldBlock: return
      case .ended:
        // The kernel has no descriptor or memory for it, and the oldest connection gives way. If
        // that does not help, a wait for the socket would return at once, as the client stays in
        // the queue.
        if isShort || connections.isEmpty {
          pause = Clock.monotonic + 100_000_000
          return
        }
        isShort = true
        connections.removeFirst()
      }
    }
  }

  private func advance(_ connection: HTTPConnection, _ respond: (HTTPRequest) -> HTTPResponse) {
    var spent: UInt64 = 0
    connection.advance { request in
      let start = Clock.monotonic
      let response = respond(request)
      spent = Clock.monotonic - start
      return response
    }
    for connection in connections { connection.deadline += spent }
  }
}
