package import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Asks for texts over HTTP/1.1. Each request has a connection of its own.
package struct HTTPTextClient: Sendable {
  /// Why there is no text.
  package struct Failure: Error, Hashable, CustomStringConvertible {
    package var description: String

    package init(description: String) { self.description = description }
  }

  private let address: HTTPAddress
  private let group: any EventLoopGroup
  private let mostBytes: Int

  /// - Parameter mostBytes: the largest text.
  package init(_ address: HTTPAddress, group: any EventLoopGroup, mostBytes: Int = 1 << 20) {
    self.address = address
    self.group = group
    self.mostBytes = mostBytes
  }

  /// Gets the text of a path.
  ///
  /// - Parameter timeout: the time until the last byte.
  /// - Throws: ``Failure`` where no process answers in time, or not in HTTP, or with too much.
  package func get(
    _ path: String, timeout: TimeAmount = .seconds(1)
  ) async throws(Failure) -> HTTPTextResponse {
    do {
      return try await start(path, timeout).get()
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(description: "no process answers at \(address): \(error)")
    }
  }

  private func start(
    _ path: String, _ timeout: TimeAmount
  ) throws -> EventLoopFuture<HTTPTextResponse> {
    let loop = group.next()
    let result = loop.makePromise(of: HTTPTextResponse.self)
    let deadline = loop.scheduleTask(in: timeout) { [address] in
      result.fail(Failure(description: "\(address) does not answer"))
    }
    result.futureResult.whenComplete { _ in deadline.cancel() }
    ClientBootstrap(group: loop)
      .connectTimeout(timeout)
      .channelInitializer { [address, mostBytes] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          // The header has a share of its own.
          try pipeline.addHandler(ByteLimit(mostBytes + 16_384))
          try pipeline.addHTTPClientHandlers()
          try pipeline.addHandler(HTTPTextRequest(address, path, mostBytes, result))
        }
      }
      .connect(to: try address.socketAddress)
      .whenComplete { [address] connected in
        switch connected {
        case .success(let channel):
          result.futureResult.whenComplete { _ in channel.close(promise: nil) }
        case .failure:
          result.fail(Failure(description: "no process listens at \(address)"))
        }
      }
    return result.futureResult
  }
}

/// A request to a server.
private final class HTTPTextRequest: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let address: HTTPAddress
  private let path: String
  private let mostBytes: Int
  private let result: EventLoopPromise<HTTPTextResponse>
  private var head: HTTPResponseHead?
  private var bytes: [UInt8] = []

  init(
    _ address: HTTPAddress, _ path: String, _ mostBytes: Int,
    _ result: EventLoopPromise<HTTPTextResponse>
  ) {
    self.address = address
    self.path = path
    self.mostBytes = mostBytes
    self.result = result
  }

  func channelActive(context: ChannelHandlerContext) {
    let fields: HTTPHeaders = ["Host": "\(address)", "Connection": "close"]
    context.write(
      wrapOutboundOut(
        .head(.init(version: .http1_1, method: .GET, uri: path, headers: fields))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body(let piece):
      guard bytes.count + piece.readableBytes <= mostBytes else {
        fail(context, "the answer has more than \(mostBytes) bytes")
        return
      }
      bytes += piece.readableBytesView
    case .end:
      guard let head, let text = String(validating: bytes, as: UTF8.self) else {
        fail(context, "the answer is not UTF-8")
        return
      }
      result.succeed(
        HTTPTextResponse(
          Int(head.status.code), text, type: head.headers.first(name: "Content-Type") ?? ""))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail(context, "the connection ended before the end of the answer")
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(context, "the answer is not HTTP: \(error)")
  }

  private func fail(_ context: ChannelHandlerContext, _ reason: String) {
    result.fail(HTTPTextClient.Failure(description: "\(address): \(reason)"))
    context.close(promise: nil)
  }
}
