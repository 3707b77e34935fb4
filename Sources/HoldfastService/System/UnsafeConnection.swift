internal import Glibc

/// The outcome of a call on a socket that does not wait.
enum SocketResult<Value> {
  case done(Value)
  /// There is nothing to do at present.
  case wouldBlock
  /// The connection is closed, or failed.
  case ended
}

/// An accepted connection, closed with the object. Its calls do not wait.
final class Connection {
  let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Receives what has arrived, at least a byte. The corresponding C function is `recv`.
  func receive() -> SocketResult<ArraySlice<UInt8>> {
    var block = [UInt8](repeating: 0, count: 4096)
    // SAFETY: the block lives through the call and has room for that many bytes.
    let count = unsafe recv(descriptor, &block, block.count, 0)
    if count > 0 { return .done(block[..<count]) }
    return count == 0 ? .ended : failure()
  }

  /// Sends some of the bytes. The corresponding C function is `send`.
  func send(_ bytes: ArraySlice<UInt8>) -> SocketResult<Int> {
    // SAFETY: the buffer lives through the call and has that many bytes.
    let count = unsafe bytes.withUnsafeBytes { buffer in
      unsafe Glibc.send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
    }
    return count >= 0 ? .done(count) : failure()
  }

  /// Ends the connection in one direction. The corresponding C function is `shutdown`.
  func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

  private func failure<Value>() -> SocketResult<Value> {
    errno == EAGAIN || errno == EINTR ? .wouldBlock : .ended
  }
}
