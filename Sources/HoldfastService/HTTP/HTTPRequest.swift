/// The head of a request, as far as the service needs it.
struct HTTPRequest: Hashable, Sendable {
  /// The method, such as `GET`.
  let method: String
  /// The path, without the query.
  let path: String

  /// What the bytes of a connection are.
  enum Reading: Hashable, Sendable {
    /// The empty line after the head has not arrived.
    case incomplete
    /// A request.
    case request(HTTPRequest)
    /// A request that the service refuses, or something else.
    case refused(HTTPResponse)
  }

  /// The largest size of a head, in bytes.
  static let longestHead = 8192

  /// Reads what a client has sent so far.
  static func read(_ bytes: [UInt8]) -> Reading {
    guard let end = endOfHead(bytes) else {
      return bytes.count < longestHead
        ? .incomplete
        : refused("431 Request Header Fields Too Large", "the head exceeds \(longestHead) bytes")
    }
    guard end <= longestHead else {
      return refused("431 Request Header Fields Too Large", "the head exceeds \(longestHead) bytes")
    }
    // A line ends in LF or CR LF. The last one is empty.
    let lines = bytes[..<end].split(separator: lineFeed, omittingEmptySubsequences: false).map {
      $0.last == carriageReturn ? $0.dropLast() : $0
    }.prefix { !$0.isEmpty }
    guard let first = lines.first, let (request, version) = requestLine(first) else {
      return refused("400 Bad Request", "the request is not HTTP/1")
    }
    var hosts: [String] = []
    for line in lines.dropFirst() {
      guard let (name, value) = field(line) else {
        return refused("400 Bad Request", "a header field is malformed")
      }
      if name == "host" { hosts.append(value) }
    }
    // HTTP/1.1 requires the field. Browsers always send it.
    guard hosts.count == 1 || hosts.isEmpty && version == 0 else {
      return refused("400 Bad Request", "it needs one Host")
    }
    if let host = hosts.first, !isThisHost(host) {
      return refused("421 Misdirected Request", "this is the service of localhost alone")
    }
    return .request(request)
  }

  /// Whether the value of Host names the loopback interface, with or without a port.
  ///
  /// A web page of any origin can let its own name resolve to 127.0.0.1 and then read what the
  /// service returns to the browser (DNS rebinding). The browser sends that name.
  static func isThisHost(_ host: String) -> Bool {
    let host = host.lowercased()
    for name in ["localhost", "127.0.0.1", "[::1]"] where host.hasPrefix(name) {
      let rest = host.utf8.dropFirst(name.utf8.count)
      if rest.isEmpty { return true }
      return rest.first == UInt8(ascii: ":") && rest.count <= 6
        && rest.dropFirst().allSatisfy { (48...57).contains($0) }
    }
    return false
  }

  private static let lineFeed = UInt8(ascii: "\n")
  private static let carriageReturn = UInt8(ascii: "\r")

  /// The index after the empty line, or nil before it has arrived.
  private static func endOfHead(_ bytes: [UInt8]) -> Int? {
    var isEmptyLine = false
    for (index, byte) in bytes.enumerated() {
      if byte == lineFeed {
        if isEmptyLine { return index + 1 }
        isEmptyLine = true
      } else if byte != carriageReturn {
        isEmptyLine = false
      }
    }
    return nil
  }

  private static func refused(_ status: String, _ reason: String) -> Reading {
    .refused(HTTPResponse(status, reason + "\n"))
  }

  /// Reads `GET /metrics?x=1 HTTP/1.1`, and the digit after `HTTP/1.`.
  private static func requestLine(_ line: ArraySlice<UInt8>) -> (HTTPRequest, version: Int)? {
    guard line.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
    let words = String(decoding: line, as: UTF8.self)
      .split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[0].utf8.allSatisfy(isToken), !words[0].isEmpty,
      words[1].hasPrefix("/") || words[1] == "*", words[2].hasPrefix("HTTP/1."),
      let version = Int(words[2].dropFirst(7)), (0...9).contains(version), words[2].count == 8
    else { return nil }
    let path = words[1].prefix { $0 != "?" }
    return (HTTPRequest(method: String(words[0]), path: String(path)), version)
  }

  /// Reads a header field: the name in small letters, and the value.
  private static func field(_ line: ArraySlice<UInt8>) -> (name: String, value: String)? {
    // No spaces before the colon, and no line that continues the one before (RFC 9112, 5.1, 5.2).
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
      line[..<colon].allSatisfy(isToken)
    else { return nil }
    let value = line[(colon + 1)...]
    guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 9 }) else { return nil }
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 9 }
    var text = value.drop(while: isSpace)
    while let last = text.last, isSpace(last) { text.removeLast() }
    return (
      String(decoding: line[..<colon], as: UTF8.self).lowercased(),
      String(decoding: text, as: UTF8.self)
    )
  }

  /// Whether a byte may occur in a method or in the name of a field (RFC 9110, 5.6.2).
  private static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }
}
