internal import NIOConcurrencyHelpers
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Serves texts over HTTP/1.1: one response for each connection, which then ends.
///
/// No client delays another one: a connection ends after a time, and where more are open than the
/// limit, the oldest one ends, so that clients that send nothing do not keep others out.
package struct HTTPTextServer: Sendable {
  /// The limits of a server.
  package struct Limits: Sendable {
    /// The largest number of open connections.
    package var connections = 16
    /// The time from the acceptance of a connection to its end.
    package var time = TimeAmount.seconds(5)
    /// The largest request in bytes.
    package var bytes = 16_384

    package init() {}
  }

  private let channel: any Channel

  /// Listens at an address.
  ///
  /// - Parameter respond: makes the response to a path. It is called on an event loop, so it must
  ///   not wait.
  package init(
    _ address: HTTPAddress, group: any EventLoopGroup, limits: Limits = Limits(),
    respond: @escaping @Sendable (String) -> HTTPTextResponse
  ) async throws {
    let open = NIOLockedValueBox<[any Channel]>([])
    channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 64)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelInitializer { channel in
        Self.admit(channel, open, limits)
        return channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(ByteLimit(limits.bytes))
          try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false)
          try pipeline.addHandler(HTTPTextExchange(respond))
        }
      }
      .bind(to: try address.socketAddress).get()
  }

  /// Closes the socket. Connections go on until their end.
  package func close() async {
    try? await channel.close().get()
  }

  /// The port, also where the kernel has chosen it.
  package var port: Int? { channel.localAddress?.port }

  private static func admit(
    _ channel: any Channel, _ open: NIOLockedValueBox<[any Channel]>, _ limits: Limits
  ) {
    let oldest = open.withLockedValue { open in
      open.append(channel)
      return open.count > limits.connections ? open.removeFirst() : nil
    }
    oldest?.close(promise: nil)
    let deadline = channel.eventLoop.scheduleTask(in: limits.time) { channel.close(promise: nil) }
    channel.closeFuture.whenComplete { _ in
      deadline.cancel()
      open.withLockedValue { $0.removeAll { $0 === channel } }
    }
  }
}

/// A request and its response.
private final class HTTPTextExchange: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let respond: @Sendable (String) -> HTTPTextResponse
  private var head: HTTPRequestHead?
  private var isDone = false

  init(_ respond: @escaping @Sendable (String) -> HTTPTextResponse) { self.respond = respond }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isDone else { return }
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end:
      guard let head else { return }
      isDone = true
      answer(head, context)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    let isKnown = head.method == .GET || head.method == .HEAD
    let path = head.uri.prefix { $0 != "?" }
    let response = isKnown ? respond(String(path)) : HTTPTextResponse(405, "GET\n")
    let body = ByteBuffer(string: response.text)
    var fields: HTTPHeaders = [
      "Content-Type": response.type, "Content-Length": "\(body.readableBytes)",
      "Connection": "close", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
    ]
    if !isKnown { fields.add(name: "Allow", value: "GET, HEAD") }
    let status = HTTPResponseStatus(statusCode: response.status)
    context.write(
      wrapOutboundOut(.head(.init(version: .http1_1, status: status, headers: fields))),
      promise: nil)
    if head.method != .HEAD {
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    }
    let written = context.eventLoop.makePromise(of: Void.self)
    let channel = context.channel
    written.futureResult.whenComplete { _ in channel.close(promise: nil) }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
  }
}
