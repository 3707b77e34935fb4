internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

/// A request over HTTP to a port on loopback, with a time and a size that the answer may not exceed.
struct LoopbackRequest {
  /// The status and the body of an answer.
  struct Answer: Hashable {
    let status: Int
    let body: String
  }

  let listener: ServiceConfiguration.Listener
  /// The time from the connection to the last byte.
  var time = Duration.seconds(1)
  /// The largest answer in bytes.
  var largest = 8 << 20

  /// Sends a GET and waits for the answer.
  ///
  /// - Throws: `connectionRefused` where no process listens, `timedOut`, `invalidArgument` for an
  ///   answer that is not HTTP, `fileTooLarge` for one that is too large, or the error of a call.
  func get(_ path: String) throws(Errno) -> Answer {
    let end = Clock.monotonic + time.nanoseconds
    let connection = try connect(end)
    let head = "GET \(path) HTTP/1.1\r\nHost: \(listener)\r\nConnection: close\r\n\r\n"
    var left = Array(head.utf8)[...]
    while !left.isEmpty {
      switch connection.send(left) {
      case .done(let count): left = left.dropFirst(count)
      case .wouldBlock: try wait(connection, .writing, end)
      case .ended: throw Errno.brokenPipe
      }
    }
    var bytes: [UInt8] = []
    receiving: while true {
      switch connection.receive() {
      case .done(let more): bytes += more
      case .wouldBlock: try wait(connection, .reading, end)
      case .ended: break receiving
      }
      // An answer that arrives without a pause ends too.
      if bytes.count > largest { throw Errno.fileTooLarge }
      if Clock.monotonic >= end { throw Errno.timedOut }
    }
    guard let answer = Self.answer(bytes) else { throw Errno.invalidArgument }
    return answer
  }

  private func connect(_ end: UInt64) throws(Errno) -> Connection {
    let descriptor = hf_connect_loopback(listener.isVersion6 ? 1 : 0, listener.port)
    guard descriptor >= 0 else { throw Errno(rawValue: -descriptor) }
    let connection = Connection(descriptor)
    try wait(connection, .writing, end)
    let error = hf_socket_error(descriptor)
    guard error == 0 else { throw Errno(rawValue: -error) }
    return connection
  }

  private func wait(
    _ connection: Connection, _ event: PollSet.Event, _ end: UInt64
  ) throws(Errno) {
    var files = PollSet()
    files.add(connection.descriptor, for: event)
    while !files.isReady(0) {
      let now = Clock.monotonic
      guard now < end else { throw Errno.timedOut }
      files.wait(.nanoseconds(Int64(clamping: end - now)))
    }
  }

  /// Reads an answer whose body ends with the connection, or with its Content-Length.
  static func answer(_ bytes: [UInt8]) -> Answer? {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
    let lines = text[..<end.lowerBound].split(separator: "\r\n")
    guard let words = lines.first?.split(separator: " "), words.count >= 2,
      words[0].hasPrefix("HTTP/1."), let status = Int(words[1]), (100...599).contains(status)
    else { return nil }
    let body = String(text[end.upperBound...])
    for line in lines.dropFirst() {
      let field = line.lowercased()
      guard field.hasPrefix("content-length:") else { continue }
      let digits = field.dropFirst("content-length:".count).drop { $0 == " " }
      // The connection broke off before the end.
      guard Int(digits) == body.utf8.count else { return nil }
    }
    return Answer(status: status, body: body)
  }
}
