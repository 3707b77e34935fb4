import HoldfastTestKit
import Testing

@testable import HoldfastService

/// Heads of requests, good and bad.
struct HTTPRequestTests {
  private func status(_ text: String) -> String? {
    switch HTTPRequest.read(Array(text.utf8)) {
    case .incomplete: nil
    case .request(let request): "\(request.method) \(request.path)"
    case .refused(let response): String(response.status.prefix(3))
    }
  }

  @Test func goodRequests() {
    #expect(status("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n") == "GET /metrics")
    #expect(status("GET /metrics?x=1 HTTP/1.1\nHost:localhost:9816\n\n") == "GET /metrics")
    #expect(status("HEAD / HTTP/1.0\r\n\r\n") == "HEAD /")
    #expect(status("OPTIONS * HTTP/1.1\r\nhOST: \t[::1]:1 \r\n\r\nbody") == "OPTIONS *")
    #expect(status("GET / HTTP/1.1\r\nX: \u{e9}\tb\r\nHost: 127.0.0.1\r\n\r\n") == "GET /")
  }

  @Test func incompleteRequests() {
    let whole = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for count in 0..<whole.utf8.count {
      #expect(HTTPRequest.read(Array(whole.utf8.prefix(count))) == .incomplete)
    }
  }

  @Test(arguments: [
    "\r\n\r\n", "nonsense\r\n\r\n", "GET /\r\n\r\n", "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n", "GET x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
    "GET / HTTP/1.10\r\n\r\n", "GET / HTTP/1.-1\r\n\r\n", "GET / HTTP/1.+1\r\n\r\n",
    " GET / HTTP/1.0\r\n\r\n", "G\u{e9}T / HTTP/1.0\r\n\r\n", "GET /\u{0} HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", "GET / HTTP/1.1\r\nHost: local\r\n host\r\n\r\n",
    "GET / HTTP/1.0\r\n: x\r\n\r\n", "GET / HTTP/1.0\r\nx\r\n\r\n",
    "GET / HTTP/1.0\r\na: b\rc\r\n\r\n", "GET / HTTP/1.0\r\na: \u{0}\r\n\r\n",
  ])
  func malformedRequests(_ text: String) {
    #expect(status(text) == "400")
  }

  @Test func heads() {
    let start = "GET / HTTP/1.1\r\nHost: localhost\r\nX: "
    let room = HTTPRequest.longestHead - start.utf8.count - 4
    #expect(status(start + String(repeating: "x", count: room) + "\r\n\r\n") == "GET /")
    #expect(status(start + String(repeating: "x", count: room + 1) + "\r\n\r\n") == "431")
    #expect(status(String(repeating: "x", count: HTTPRequest.longestHead - 1)) == nil)
    #expect(status(String(repeating: "x", count: HTTPRequest.longestHead)) == "431")
  }

  @Test func hosts() {
    for name in ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"] {
      for port in ["", ":", ":80", ":65535"] {
        #expect(HTTPRequest.isThisHost(name + port), "\(name)\(port)")
      }
    }
    for host in [
      "", "example.org", "example.org:9816", "localhost.example.org", "localhost:9816.example.org",
      "127.0.0.1.example.org", "localhost:x", "localhost:123456", "127.0.0.2", "::1", "[::1",
      "[::1]x", "localhost.", "localhost localhost", "user@localhost", "10.0.0.1", ":9816",
    ] {
      #expect(!HTTPRequest.isThisHost(host), "\(host)")
      #expect(
        status("GET /healthz HTTP/1.1\r\nHost: \(host)\r\n\r\n") == "421", "\(host)")
    }
  }

  /// No bytes stop the program, and a prefix is never more than the whole.
  @Test func randomBytes() {
    var random = SeededGenerator(seed: UInt64.random(in: .min ... .max))
    let seed = random
    let pieces = Array("GET /metrics HTTP/1.1\r\nHost: localhost:80\r\n\r\n\0\u{7f}é".utf8)
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
        Bool.random(using: &random)
          ? pieces.randomElement(using: &random) ?? 0 : UInt8.random(in: 0...255, using: &random)
      }
      if HTTPRequest.read(bytes) == .incomplete, let last = bytes.indices.last {
        #expect(HTTPRequest.read(Array(bytes[..<last])) == .incomplete, "\(seed)")
      }
    }
  }
}
