import Foundation
import HoldfastTestKit
import Testing

@testable import HoldfastService

/// The server with real connections. Time is the subject of some tests: a client's second.
struct HTTPServerTests {
  private let request = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"

  /// A server on a thread of its own, ended with the object.
  private final class Running: @unchecked Sendable {
    let port: UInt16
    private let wakeup: Wakeup
    private let lock = NSLock()
    private var isEnding = false
    private var open = 0
    private let ended = DispatchSemaphore(value: 0)

    init(
      _ limits: HTTPServer.Limits = .init(),
      _ respond: @escaping @Sendable (HTTPRequest) -> HTTPResponse = { .init("200 OK", $0.path) }
    ) throws {
      let socket = try ListeningSocket(ServiceConfiguration.Listener("127.0.0.1:0"))
      port = socket.port
      wakeup = try Wakeup()
      let thread = Thread { [self] in
        var server = HTTPServer(socket, limits: limits)
        while !lock.withLock({ isEnding }) {
          server.turn(.seconds(10), wakeup, respond)
          lock.withLock { open = server.count }
        }
        ended.signal()
      }
      thread.start()
    }

    var count: Int { lock.withLock { open } }

    func end() {
      lock.withLock { isEnding = true }
      wakeup.wake()
      ended.wait()
    }
  }

  @Test func answers() throws {
    let server = try Running()
    defer { server.end() }
    for _ in 0..<3 {
      let client = try LoopbackClient(server.port)
      client.send(request)
      let answer = client.rest()
      #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.hasSuffix("\r\n\r\n/x"))
    }
    let client = try LoopbackClient(server.port)
    for character in request { #expect(client.send(String(character))) }
    #expect(client.rest().hasSuffix("/x"))
    // What comes after the head does not cost the client its response.
    let other = try LoopbackClient(server.port)
    other.send(request + String(repeating: "y", count: 20_000))
    #expect(other.rest().hasSuffix("/x"))
    try #require(eventually { server.count == 0 })
  }

  @Test func malformedRequests() throws {
    let server = try Running()
    defer { server.end() }
    for (text, status) in [
      ("nonsense\r\n\r\n", "400 Bad Request"), ("GET /x HTTP/1.1\r\n\r\n", "400 Bad Request"),
      ("GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421 Misdirected Request"),
      (String(repeating: "x", count: 9000), "431 Request Header Fields Too Large"),
    ] {
      let client = try LoopbackClient(server.port)
      client.send(text)
      #expect(client.rest().hasPrefix("HTTP/1.1 \(status)\r\n"), "\(text.prefix(60))")
    }
  }

  /// The time of the connection is three minutes, so a server that waits for one fails the test.
  @Test func slowClientsDelayNobody() throws {
    let server = try Running(.init(connections: 8, time: .seconds(180)))
    defer { server.end() }
    let slow = try (0..<5).map { _ in try LoopbackClient(server.port) }
    for (index, client) in slow.enumerated() { client.send(String(request.prefix(index))) }
    let dripping = try LoopbackClient(server.port)
    dripping.send("GET /x HTTP/1.1\r\nHost: localhost\r\nX: ")
    let start = ContinuousClock.now
    for _ in 0..<20 {
      let client = try LoopbackClient(server.port)
      client.send(request)
      #expect(client.rest().hasSuffix("/x"))
      #expect(dripping.send("x"))
    }
    #expect(ContinuousClock.now - start < .seconds(60))
    #expect(slow.allSatisfy { !$0.isClosed } && !dripping.isClosed)
    for (index, client) in slow.enumerated() { client.send(String(request.dropFirst(index))) }
    for client in slow { #expect(client.rest().hasSuffix("/x")) }
  }

  @Test func theOldestIsDropped() throws {
    let server = try Running(.init(connections: 4, time: .seconds(180)))
    defer { server.end() }
    var clients: [LoopbackClient] = []
    for count in 1...10 {
      clients.append(try LoopbackClient(server.port))
      try #require(eventually { server.count == min(count, 4) })
      try #require(eventually { clients.count { $0.isClosed } == max(0, count - 4) })
    }
    #expect(clients.map(\.isClosed) == (0..<10).map { $0 < 6 })
    // A client that has sent its request is served, however many come after it.
    let silent = try (0..<100).map { _ in try LoopbackClient(server.port) }
    let client = try LoopbackClient(server.port)
    client.send(request)
    #expect(client.rest().hasSuffix("/x"))
    withExtendedLifetime(silent) {}
  }

  @Test func aConnectionEndsInTime() throws {
    let server = try Running(.init(connections: 8, time: .milliseconds(300)))
    defer { server.end() }
    let start = ContinuousClock.now
    let silent = try LoopbackClient(server.port)
    let half = try LoopbackClient(server.port)
    half.send("GET /x HT")
    let slow = try LoopbackClient(server.port)
    var sent = 0
    while slow.send("a"), !slow.isClosed, sent < 1000 {
      sent += 1
      usleep(20_000)
    }
    #expect(silent.rest().isEmpty && half.rest().isEmpty && slow.rest().isEmpty)
    #expect(ContinuousClock.now - start >= .milliseconds(280) && sent < 1000)
  }

  /// A client that reads nothing of a large response keeps its connection for its time only.
  @Test func aClientThatDoesNotRead() throws {
    let large = String(repeating: "x", count: 32 << 20)
    // Long enough to be seen on a busy host.
    let server = try Running(.init(connections: 8, time: .seconds(2))) { request in
      HTTPResponse("200 OK", request.path == "/large" ? large : "small")
    }
    defer { server.end() }
    let client = try LoopbackClient(server.port)
    client.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try #require(eventually { server.count == 1 })
    let other = try LoopbackClient(server.port)
    other.send(request)
    #expect(other.rest().hasSuffix("small"))
    try #require(eventually { server.count == 0 })
    #expect(client.rest().utf8.count < large.utf8.count)
  }

  /// The time that the service itself takes is not the client's.
  @Test func aSlowResponse() throws {
    let server = try Running(.init(connections: 8, time: .milliseconds(200))) { request in
      usleep(500_000)
      return HTTPResponse("200 OK", request.path)
    }
    defer { server.end() }
    let clients = try (0..<3).map { _ in try LoopbackClient(server.port) }
    for client in clients { client.send(request) }
    for client in clients { #expect(client.rest().hasSuffix("/x")) }
  }
}
