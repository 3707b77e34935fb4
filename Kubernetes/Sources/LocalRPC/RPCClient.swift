package import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
internal import NIOPosix

/// Calls services at a Unix socket. Each call has a connection of its own: there are a few in a
/// minute, and a kubelet that has started again is then no special case.
package struct RPCClient: Sendable {
  private let path: String
  private let group: any EventLoopGroup

  /// The largest answer: a kubelet lists all containers of the node.
  static let mostBytes = 16 << 20

  package init(path: String, group: any EventLoopGroup) {
    self.path = path
    self.group = group
  }

  /// Calls a method with one message, and returns the answer's only one.
  ///
  /// - Throws: ``RPCStatus``: the service's, `unavailable` where no process listens, or
  ///   `deadlineExceeded`.
  package func call(
    _ method: String, _ message: [UInt8], timeout: TimeAmount = .seconds(5)
  ) async throws(RPCStatus) -> [UInt8] {
    do {
      return try await start(method, message, timeout).get()
    } catch let status as RPCStatus {
      throw status
    } catch {
      throw RPCStatus(.unavailable, "\(path): \(error)")
    }
  }

  private func start(
    _ method: String, _ message: [UInt8], _ timeout: TimeAmount
  ) -> EventLoopFuture<[UInt8]> {
    let loop = group.next()
    let result = loop.makePromise(of: [UInt8].self)
    let deadline = loop.scheduleTask(in: timeout) {
      result.fail(RPCStatus(.deadlineExceeded, "no answer within \(timeout.nanoseconds) ns"))
    }
    result.futureResult.whenComplete { _ in deadline.cancel() }
    ClientBootstrap(group: loop)
      .connectTimeout(timeout)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let streams = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .client, connectionConfiguration: .init(), streamConfiguration: .init()
          ) { stream in
            // Servers have no calls to make.
            stream.close()
          }
          try channel.pipeline.syncOperations.addHandler(ClosingHandler())
          streams.createStreamChannel(promise: nil) { stream in
            stream.eventLoop.makeCompletedFuture {
              try stream.pipeline.syncOperations.addHandler(
                RPCClientCall(method, message, result))
            }
          }
        }
      }
      .connect(unixDomainSocketPath: path)
      .whenComplete { connected in
        switch connected {
        case .success(let channel):
          channel.closeFuture.whenComplete { _ in
            result.fail(RPCStatus(.unavailable, "the connection ended before the answer"))
          }
          result.futureResult.whenComplete { _ in channel.close(promise: nil) }
        case .failure(let error): result.fail(error)
        }
      }
    return result.futureResult
  }
}

/// A call to a server, which is a stream of HTTP/2.
private final class RPCClientCall: ChannelInboundHandler {
  typealias InboundIn = HTTP2Frame.FramePayload
  typealias OutboundOut = HTTP2Frame.FramePayload

  private let method: String
  private let message: [UInt8]
  private let result: EventLoopPromise<[UInt8]>
  private var reader = RPCFrame.Reader(limit: RPCClient.mostBytes)

  init(_ method: String, _ message: [UInt8], _ result: EventLoopPromise<[UInt8]>) {
    self.method = method
    self.message = message
    self.result = result
  }

  func channelActive(context: ChannelHandlerContext) {
    let fields: HPACKHeaders = [
      ":method": "POST", ":scheme": "http", ":path": method, ":authority": "localhost",
      "te": "trailers", "content-type": "application/grpc", "user-agent": "holdfast-kubernetes",
    ]
    context.write(wrapOutboundOut(.headers(.init(headers: fields))), promise: nil)
    let data = RPCFrame.write(message, context.channel.allocator)
    context.writeAndFlush(
      wrapOutboundOut(.data(.init(data: .byteBuffer(data), endStream: true))), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    do throws(RPCStatus) {
      switch unwrapInboundIn(data) {
      case .headers(let frame):
        if let number = frame.headers.first(name: "grpc-status") {
          let status = RPCStatus(
            number: number, message: frame.headers.first(name: "grpc-message"))
          guard status.code == .ok else { throw status }
          result.succeed(try reader.message())
        } else if frame.headers.first(name: ":status") != "200" || frame.endStream {
          throw RPCStatus(.unavailable, "the answer is not gRPC's")
        }
      case .data(let frame):
        guard case .byteBuffer(let bytes) = frame.data else { return }
        try reader.append(bytes)
        if frame.endStream { throw RPCStatus(.internal, "the answer has no status") }
      default: break
      }
    } catch {
      result.fail(error)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    result.fail(RPCStatus(.unavailable, "the call ended before the answer"))
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    result.fail(error)
    context.close(promise: nil)
  }
}
