import Glibc
import LocalRPC
import NIOCore
import NIOPosix
import Testing

/// Answers with the request, with an error, or never.
private struct Echo: RPCService {
  func call(_ method: String, _ message: [UInt8], _ answer: RPCAnswer) {
    switch method {
    case "/test.Echo/Echo": answer.finish(message)
    case "/test.Echo/Fail": answer.finish(RPCStatus(.failedPrecondition, "no: ü"))
    case "/test.Echo/Two":
      answer.send(message)
      answer.finish(message)
    case "/test.Echo/Half":
      answer.send(message)
      answer.finish(RPCStatus(.unavailable, "half"))
    case "/test.Echo/None": answer.finish(.ok)
    case "/test.Echo/Never": break
    default: answer.finish(RPCStatus(.unimplemented))
    }
  }
}

/// Says a text to each client, and no more.
private final class Speaker: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private let text: String

  init(_ text: String) { self.text = text }

  func channelActive(context: ChannelHandlerContext) {
    context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
    context.close(mode: .output, promise: nil)
  }
}

struct RPCServerTests {
  private let group = MultiThreadedEventLoopGroup.singleton

  /// Calls `body` with a path that no file has.
  private func withPath(_ body: (String) async throws -> Void) async throws {
    let path = "/tmp/holdfast-rpc-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
    defer { unlink(path) }
    try await body(path)
  }

  private func withServer(_ body: (String, RPCClient) async throws -> Void) async throws {
    try await withPath { path in
      let server = try await RPCServer(path: path, service: Echo(), group: group)
      try await body(path, RPCClient(path: path, group: group))
      await server.close()
    }
  }

  // 100 KB is more than HTTP/2's first window of 65,535 bytes; a frame has 16,384.
  @Test(arguments: [0, 1, 16_379, 16_380, 100_000, 4 << 20])
  func `a message comes back`(size: Int) async throws {
    try await withServer { _, client in
      let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      let answer = try await client.call("/test.Echo/Echo", message)
      #expect(answer == message)
    }
  }

  @Test(arguments: [
    ("Fail", RPCStatus(.failedPrecondition, "no: ü")), ("Half", RPCStatus(.unavailable, "half")),
    ("Other", RPCStatus(.unimplemented)),
    ("Two", RPCStatus(.unimplemented, "more than one message")),
    ("None", RPCStatus(.internal, "the call ended within a message")),
  ])
  func `an error is the caller's`(method: String, status: RPCStatus) async throws {
    try await withServer { _, client in
      await #expect(throws: status) { try await client.call("/test.Echo/" + method, [1]) }
    }
  }

  @Test func `a request of more than 4 MiB is refused`() async throws {
    try await withServer { _, client in
      let message = [UInt8](repeating: 0, count: 4 << 20 | 1)
      await #expect { try await client.call("/test.Echo/Echo", message) } throws: {
        ($0 as? RPCStatus)?.code == .resourceExhausted
      }
    }
  }

  @Test func `a call without an answer has a timeout`() async throws {
    try await withServer { _, client in
      await #expect {
        try await client.call("/test.Echo/Never", [], timeout: .milliseconds(50))
      } throws: { ($0 as? RPCStatus)?.code == .deadlineExceeded }
    }
  }

  @Test func `a path without a listener is unavailable`() async throws {
    try await withPath { path in
      await #expect { try await RPCClient(path: path, group: group).call("/x", []) } throws: {
        ($0 as? RPCStatus)?.code == .unavailable
      }
    }
  }

  @Test func `a server takes the place of a socket`() async throws {
    try await withServer { path, client in
      let second = try await RPCServer(path: path, service: Echo(), group: group)
      let answer = try await client.call("/test.Echo/Echo", [7])
      #expect(answer == [7])
      await second.close()
      await #expect { try await client.call("/test.Echo/Echo", [7]) } throws: {
        ($0 as? RPCStatus)?.code == .unavailable
      }
    }
  }

  /// Servers that break the protocol end a call at once with an error, and never with success.
  @Test(arguments: [
    "", "HTTP/1.1 200 OK\r\n\r\n", "\0\0\0\u{4}\0\0\0\0\0",
    "\0\0\0\u{4}\0\0\0\0\0\0\0\u{5}\u{1}\u{5}\0\0\0\u{1}\u{7f}",
    "\0\0\u{1}\0\0\0\0\0\u{1}x",
  ])
  func `a server that breaks the protocol is an error`(text: String) async throws {
    try await withPath { path in
      let server = try await ServerBootstrap(group: group)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(Speaker(text))
          }
        }
        .childChannelOption(.allowRemoteHalfClosure, value: true)
        .bind(unixDomainSocketPath: path).get()
      // A timeout would be an error too.
      await #expect {
        try await RPCClient(path: path, group: group).call("/x", [], timeout: .seconds(60))
      } throws: {
        ($0 as? RPCStatus)?.code == .unavailable
      }
      try await server.close().get()
    }
  }

  @Test func `random bytes do not stop a server`() async throws {
    try await withServer { path, client in
      let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
      for round in 0..<200 {
        let bytes =
          (round % 4 == 0 ? [] : preface)
          + (0..<Int.random(in: 0...200)).map { _ in
            Bool.random() ? UInt8.random(in: 0...10) : UInt8.random(in: 0...255)
          }
        let channel = try await ClientBootstrap(group: group)
          .connect(unixDomainSocketPath: path).get()
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        try? await channel.close().get()
      }
      let answer = try await client.call("/test.Echo/Echo", [7])
      #expect(answer == [7])
    }
  }
}
