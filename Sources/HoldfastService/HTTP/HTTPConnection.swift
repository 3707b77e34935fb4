/// One client's connection: reads a head, sends a response, and waits for the client's end.
final class HTTPConnection {
  let socket: Connection
  /// When the connection is closed in any case, by the monotonic clock.
  var deadline: UInt64
  private(set) var state = State.reading([])
  /// The bytes that were read after the head, and discarded.
  private var discarded = 0

  enum State {
    /// The head has arrived so far.
    case reading([UInt8])
    /// The response, and how much of it is sent.
    case writing([UInt8], Int)
    /// The response is sent. Bytes after the head are read until the client closes the connection,
    /// since otherwise the kernel resets it and the client may lose the response.
    case ending
    case ended
  }

  /// The largest number of bytes that are read after the head.
  private static let mostDiscarded = 1 << 16

  init(_ socket: Connection, deadline: UInt64) {
    self.socket = socket
    self.deadline = deadline
  }

  var isWriting: Bool {
    if case .writing = state { return true }
    return false
  }

  var hasEnded: Bool {
    if case .ended = state { return true }
    return false
  }

  /// Does what is possible without waiting.
  func advance(_ respond: (HTTPRequest) -> HTTPResponse) {
    while true {
      switch state {
      case .reading(let head):
        guard let bytes = receive() else { return }
        // Frees the array before it grows.
        state = .ended
        read(head + bytes, respond)
      case .writing(let bytes, let done):
        switch socket.send(bytes[done...]) {
        case .done(let count):
          state = .writing(bytes, done + count)
          if done + count == bytes.count {
            socket.endWriting()
            state = .ending
          }
        case .wouldBlock: return
        case .ended: state = .ended
        }
      case .ending:
        guard let bytes = receive() else { return }
        discarded += bytes.count
        if discarded > Self.mostDiscarded { state = .ended }
      case .ended: return
      }
    }
  }

  /// The bytes that have arrived; nil where there are none, or where the connection ended.
  private func receive() -> ArraySlice<UInt8>? {
    switch socket.receive() {
    case .done(let bytes): return bytes
    case .wouldBlock: return nil
    case .ended:
      state = .ended
      return nil
    }
  }

  private func read(_ head: [UInt8], _ respond: (HTTPRequest) -> HTTPResponse) {
    switch HTTPRequest.read(head) {
    case .incomplete: state = .reading(head)
    case .request(let request):
      state = .writing(respond(request).bytes(toHead: request.method == "HEAD"), 0)
    case .refused(let response): state = .writing(response.bytes(toHead: false), 0)
    }
  }
}
