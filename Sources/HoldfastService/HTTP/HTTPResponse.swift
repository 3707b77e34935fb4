/// A response with a text, after which the connection is closed.
struct HTTPResponse: Hashable, Sendable {
  /// The code and the reason: `200 OK`.
  let status: String
  let body: String
  let type: String
  /// Further header fields, each with its end of line.
  let field: String

  init(
    _ status: String, _ body: String, type: String = "text/plain; charset=utf-8",
    field: String = ""
  ) {
    self.status = status
    self.body = body
    self.type = type
    self.field = field
  }

  /// The bytes to send; a response to HEAD has no body.
  func bytes(toHead isHead: Bool) -> [UInt8] {
    let head =
      "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n"
      + "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
      + "Cross-Origin-Resource-Policy: same-origin\r\n\(field)Connection: close\r\n\r\n"
    return Array((isHead ? head : head + body).utf8)
  }
}
