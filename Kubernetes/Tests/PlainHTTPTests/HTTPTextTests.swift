import NIOCore
import NIOPosix
import PlainHTTP
import Testing

/// A server and clients on loopback.
@Suite(.timeLimit(.minutes(1))) struct HTTPTextTests {
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
}

extension HTTPTextTests {
  /// A port that no process listens at, most likely.
  private func address() async throws -> HTTPAddress {
    let channel = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(channel.localAddress?.port)
    try await channel.close().get()
    return try #require(HTTPAddress("127.0.0.1:\(port)"))
  }

  private func serve(
    _ address: HTTPAddress, _ limits: HTTPTextServer.Limits = .init(),
    _ respond: @escaping @Sendable (String) -> HTTPTextResponse
  ) async throws -> HTTPTextServer {
    try await HTTPTextServer(address, group: group, limits: limits, respond: respond)
  }

  /// A server that answers a request with bytes, and then ends the connection or not.
  private func send(
    _ bytes: [UInt8], ends: Bool = true
  ) async throws -> (HTTPAddress, any Channel) {
    let address = try await address()
    let channel = try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Answer(bytes: bytes, ends: ends))
        }
      }
      .bind(host: address.host, port: address.port).get()
    return (address, channel)
  }

  private final class Answer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let bytes: [UInt8]
    private let ends: Bool

    init(bytes: [UInt8], ends: Bool) {
      self.bytes = bytes
      self.ends = ends
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
      if ends { context.close(promise: nil) }
    }
  }

  private func failure(
    _ address: HTTPAddress, most: Int = 1000, timeout: TimeAmount = .seconds(10)
  ) async -> String? {
    do throws(HTTPTextClient.Failure) {
      let answer = try await HTTPTextClient(address, group: group, mostBytes: most)
        .get("/", timeout: timeout)
      Issue.record("an answer: \(answer)")
      return nil
    } catch {
      return error.description
    }
  }

  @Test func `a client gets the status and the text of a path`() async throws {
    let address = try await address()
    let server = try await serve(address) { path in
      path == "/a" ? HTTPTextResponse(200, "ä\n", type: "text/x") : HTTPTextResponse(404, path)
    }
    let client = HTTPTextClient(address, group: group)
    let found = try await client.get("/a?b=c", timeout: .seconds(10))
    #expect(found == HTTPTextResponse(200, "ä\n", type: "text/x"))
    #expect(try await client.get("/x", timeout: .seconds(10)).status == 404)
    await server.close()
    #expect(await failure(address) == "no process listens at \(address)")
  }

  @Test func `an answer may have as many bytes as the client allows`() async throws {
    let address = try await address()
    let server = try await serve(address) { HTTPTextResponse(200, String($0.dropFirst())) }
    let client = HTTPTextClient(address, group: group, mostBytes: 100)
    let fits = String(repeating: "x", count: 100)
    #expect(try await client.get("/" + fits, timeout: .seconds(10)).text == fits)
    await #expect(throws: HTTPTextClient.Failure.self) {
      try await client.get("/x" + fits, timeout: .seconds(10))
    }
    await server.close()
  }

  @Test(arguments: [
    "", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
    "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + String(repeating: "x", count: 5000),
    "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 5000),
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  ])
  func `what is no answer is an error`(text: String) async throws {
    let (address, channel) = try await send(Array(text.utf8))
    #expect(await failure(address) != nil)
    try await channel.close().get()
  }

  @Test func `text that is not UTF-8 is an error`() async throws {
    let (address, channel) = try await send(Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + [0xff, 0xfe])
    #expect(await failure(address)?.contains("UTF-8") == true)
    try await channel.close().get()
  }

  @Test func `a server that does not answer takes no longer than the timeout`() async throws {
    let (address, channel) = try await send([], ends: false)
    let start = ContinuousClock.now
    #expect(await failure(address, timeout: .milliseconds(200)) == "\(address) does not answer")
    #expect(start.duration(to: .now) < .seconds(8))
    try await channel.close().get()
  }

  private func connect(_ address: HTTPAddress) async throws -> any Channel {
    try await ClientBootstrap(group: group).connect(host: address.host, port: address.port).get()
  }

  @Test func `of too many connections the oldest ends`() async throws {
    let address = try await address()
    var limits = HTTPTextServer.Limits()
    limits.connections = 2
    limits.time = .hours(1)
    let server = try await serve(address, limits) { _ in HTTPTextResponse(200, "ok") }
    var channels: [any Channel] = []
    for _ in 0..<5 { channels.append(try await connect(address)) }
    for channel in channels.prefix(3) { try await channel.closeFuture.get() }
    // With the others open a request is answered.
    #expect(
      try await HTTPTextClient(address, group: group).get("/", timeout: .seconds(10)).text == "ok")
    #expect(channels.last?.isActive == true)
    for channel in channels.suffix(2) { try? await channel.close().get() }
    await server.close()
  }

  @Test func `each connection ends in time`() async throws {
    let address = try await address()
    var limits = HTTPTextServer.Limits()
    limits.time = .seconds(1)
    let server = try await serve(address, limits) { _ in HTTPTextResponse(200, "ok") }
    let start = ContinuousClock.now
    let channel = try await connect(address)
    try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\n")).get()
    try await channel.closeFuture.get()
    #expect((.milliseconds(900)..<(.seconds(10))).contains(start.duration(to: .now)))
    await server.close()
  }

  @Test(arguments: [(400, true), (600, false)])
  func `a request has no more bytes than the limit`(count: Int, isAnswered: Bool) async throws {
    let address = try await address()
    var limits = HTTPTextServer.Limits()
    limits.bytes = 500
    let server = try await serve(address, limits) { _ in HTTPTextResponse(200, "ok") }
    let client = HTTPTextClient(address, group: group)
    let path = "/" + String(repeating: "x", count: count)
    let text = try? await client.get(path, timeout: .seconds(10)).text
    #expect((text == "ok") == isAnswered)
    await server.close()
  }
}
