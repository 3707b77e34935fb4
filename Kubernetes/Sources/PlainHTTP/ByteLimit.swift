internal import NIOCore

/// Ends a connection whose peer has sent too much.
final class ByteLimit: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private var left: Int

  init(_ most: Int) { left = most }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    left -= unwrapInboundIn(data).readableBytes
    guard left >= 0 else {
      context.close(promise: nil)
      return
    }
    context.fireChannelRead(data)
  }
}
