internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// The answer to a call: messages, and the status that ends it. Safe to use from any thread.
package final class RPCAnswer: Sendable {
  private let channel: any Channel
  /// What the event loop alone uses.
  private let state: NIOLoopBound<State>

  private final class State {
    var hasHeaders = false
    var isFinished = false
    /// Messages that the peer has not yet taken.
    var waiting = 0
  }

  /// A peer that leaves more messages unread gets no further ones: its call ends.
  private static let mostWaiting = 64

  /// Called on the channel's event loop.
  init(_ channel: any Channel) {
    self.channel = channel
    state = NIOLoopBound(State(), eventLoop: channel.eventLoop)
  }

  /// Sends a message.
  package func send(_ message: [UInt8]) {
    channel.eventLoop.execute { [self] in
      let state = state.value
      guard !state.isFinished, channel.isActive else { return }
      guard state.waiting < Self.mostWaiting else {
        close(RPCStatus(.resourceExhausted, "the client does not read"))
        return
      }
      if !state.hasHeaders {
        state.hasHeaders = true
        channel.write(payload(Self.headers), promise: nil)
      }
      state.waiting += 1
      let data = RPCFrame.write(message, channel.allocator)
      let written = channel.eventLoop.makePromise(of: Void.self)
      written.futureResult.assumeIsolated().whenComplete { _ in state.waiting -= 1 }
      channel.writeAndFlush(
        HTTP2Frame.FramePayload.data(.init(data: .byteBuffer(data))), promise: written)
    }
  }

  /// Ends the call.
  package func finish(_ status: RPCStatus) {
    channel.eventLoop.execute { [self] in close(status) }
  }

  /// Sends the only message, and ends the call.
  package func finish(_ message: [UInt8]) {
    send(message)
    finish(.ok)
  }

  /// Calls `body` when the call has ended, also by the client's end.
  package func whenClosed(_ body: @escaping @Sendable () -> Void) {
    channel.closeFuture.whenComplete { _ in body() }
  }

  private func close(_ status: RPCStatus) {
    let state = state.value
    guard !state.isFinished, channel.isActive else { return }
    state.isFinished = true
    var fields = state.hasHeaders ? HPACKHeaders() : Self.headers
    fields.add(name: "grpc-status", value: "\(status.code.rawValue)")
    if !status.message.isEmpty { fields.add(name: "grpc-message", value: status.encodedMessage) }
    channel.writeAndFlush(payload(fields, ends: true), promise: nil)
  }

  private func payload(_ fields: HPACKHeaders, ends: Bool = false) -> HTTP2Frame.FramePayload {
    .headers(.init(headers: fields, endStream: ends))
  }

  private static let headers: HPACKHeaders = [
    ":status": "200", "content-type": "application/grpc",
  ]
}
