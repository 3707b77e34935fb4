internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// Answers the calls to a service.
package protocol RPCService: Sendable {
  /// Answers a call, from any thread, now or later. It is called on an event loop, so it must not
  /// wait.
  ///
  /// - Parameters:
  ///   - method: the path, such as `/v1beta1.DevicePlugin/Allocate`.
  ///   - message: the request's only message.
  func call(_ method: String, _ message: [UInt8], _ answer: RPCAnswer)
}

/// A call of a client, which is a stream of HTTP/2.
final class RPCServerCall: ChannelInboundHandler {
  typealias InboundIn = HTTP2Frame.FramePayload

  /// The largest request. The kubelet names at most some thousands of devices.
  static let mostBytes = 4 << 20

  private let service: any RPCService
  private var reader = RPCFrame.Reader(limit: RPCServerCall.mostBytes)
  private var method: String?
  private var answer: RPCAnswer?
  private var isDone = false

  init(_ service: any RPCService) { self.service = service }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isDone else { return }
    let answer = answer ?? RPCAnswer(context.channel)
    self.answer = answer
    do throws(RPCStatus) {
      switch unwrapInboundIn(data) {
      case .headers(let frame):
        // Fields after the message mean nothing to gRPC.
        if method == nil { method = try Self.method(frame.headers) }
        if frame.endStream { try finish(answer) }
      case .data(let frame):
        guard case .byteBuffer(let bytes) = frame.data else { return }
        try reader.append(bytes)
        if frame.endStream { try finish(answer) }
      default: break
      }
    } catch {
      isDone = true
      answer.finish(error)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  private func finish(_ answer: RPCAnswer) throws(RPCStatus) {
    guard let method else { throw RPCStatus(.internal, "the call has no header") }
    let message = try reader.message()
    isDone = true
    service.call(method, message, answer)
  }

  private static func method(_ fields: HPACKHeaders) throws(RPCStatus) -> String {
    guard fields.first(name: ":method") == "POST",
      fields.first(name: "content-type")?.hasPrefix("application/grpc") == true,
      let path = fields.first(name: ":path")
    else { throw RPCStatus(.internal, "it is not a call of gRPC") }
    return path
  }
}
