package import NIOCore
internal import NIOHTTP2
internal import NIOPosix

/// Serves gRPC at a Unix socket, without TLS: [gRPC over HTTP2] on swift-nio-http2.
///
/// [gRPC over HTTP2]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
package struct RPCServer: Sendable {
  private let channel: any Channel

  /// The calls that a client may have open at a time.
  private static let mostCalls = 64

  /// Creates the socket, in place of a socket with that name.
  package init(
    path: String, service: any RPCService, group: any EventLoopGroup
  ) async throws {
    channel = try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .server,
            connectionConfiguration: Self.connections,
            streamConfiguration: .init()
          ) { stream in
            stream.eventLoop.makeCompletedFuture {
              try stream.pipeline.syncOperations.addHandler(RPCServerCall(service))
            }
          }
          try channel.pipeline.syncOperations.addHandler(ClosingHandler())
        }
      }
      .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
  }

  private static var connections: NIOHTTP2Handler.ConnectionConfiguration {
    var configuration = NIOHTTP2Handler.ConnectionConfiguration()
    configuration.initialSettings = [
      HTTP2Setting(parameter: .maxConcurrentStreams, value: mostCalls),
      HTTP2Setting(parameter: .maxHeaderListSize, value: 16_384),
    ]
    return configuration
  }

  /// Closes the socket. The kernel keeps its name.
  package func close() async {
    try? await channel.close().get()
  }
}

/// Closes a connection that breaks the rules of HTTP/2.
final class ClosingHandler: ChannelInboundHandler {
  typealias InboundIn = Any

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
