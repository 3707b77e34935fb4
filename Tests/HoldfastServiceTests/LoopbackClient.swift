import Foundation
import Testing

/// A TCP client of a port on 127.0.0.1.
final class LoopbackClient {
  private let file: Int32

  init(_ port: UInt16) throws {
    file = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    try #require(file >= 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(status == 0, "\(errno)")
  }

  deinit { close(file) }

  /// Sends a text; false where the connection is closed.
  @discardableResult
  func send(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    return Glibc.send(file, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  /// Whether the server has closed the connection.
  var isClosed: Bool {
    var byte: UInt8 = 0
    let count = recv(file, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    return count == 0 || count < 0 && errno != EAGAIN
  }

  /// Everything that the server sends until it closes the connection.
  func rest() -> String {
    var answer: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(file, &block, block.count, 0)
      if count <= 0 { return String(decoding: answer, as: UTF8.self) }
      answer += block[..<count]
    }
  }
}
