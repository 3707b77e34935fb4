internal import NIOCore

/// An IP address and a port, such as `127.0.0.1:9817` or `[::1]:9817`.
package struct HTTPAddress: Hashable, Sendable, CustomStringConvertible {
  package var host: String
  package var port: Int
  private var isVersion6: Bool

  /// Reads the text; nil where it is not an address with a port. Names are not looked up.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = UInt16(digits), port > 0
    else { return nil }
    var host = text[..<colon]
    isVersion6 = host.hasPrefix("[") && host.hasSuffix("]")
    if isVersion6 { host = host.dropFirst().dropLast() }
    guard host.contains(":") == isVersion6, !host.utf8.contains(0) else { return nil }
    self.host = String(host)
    self.port = Int(port)
    guard (try? socketAddress) != nil else { return nil }
  }

  /// Whether only processes of the same host or pod have this address.
  package var isLoopback: Bool { isVersion6 ? host == "::1" : host.hasPrefix("127.") }

  package var description: String { isVersion6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

  var socketAddress: SocketAddress {
    get throws { try SocketAddress(ipAddress: host, port: port) }
  }
}
