internal import NIOCore

/// gRPC's frame of a message: a byte that is 0 where the message is not compressed, four bytes with
/// its length, the message.
enum RPCFrame {
  static func write(_ message: [UInt8], _ allocator: ByteBufferAllocator) -> ByteBuffer {
    var buffer = allocator.buffer(capacity: message.count + 5)
    buffer.writeInteger(UInt8(0))
    buffer.writeInteger(UInt32(message.count))
    buffer.writeBytes(message)
    return buffer
  }

  /// Gathers the one message of a side of a call, which arrives in pieces of any size.
  struct Reader {
    private var bytes: [UInt8] = []
    private let limit: Int

    /// - Parameter limit: the largest size of a message.
    init(limit: Int) { self.limit = limit }

    /// Takes a piece. It refuses a message that is too large as soon as its length is known, and
    /// never has more than the limit and a piece.
    mutating func append(_ piece: ByteBuffer) throws(RPCStatus) {
      bytes += piece.readableBytesView
      guard bytes.count >= 5 else { return }
      guard bytes[0] == 0 else {
        throw RPCStatus(.unimplemented, "compressed messages are not supported")
      }
      guard length <= limit else {
        throw RPCStatus(.resourceExhausted, "a message has \(length) bytes, at most \(limit)")
      }
      guard bytes.count <= length + 5 else {
        throw RPCStatus(.unimplemented, "more than one message")
      }
    }

    private var length: Int { bytes[1..<5].reduce(0) { $0 << 8 | Int($1) } }

    /// The message, when all of it has arrived.
    func message() throws(RPCStatus) -> [UInt8] {
      guard bytes.count >= 5, bytes.count == length + 5 else {
        throw RPCStatus(.internal, "the call ended within a message")
      }
      return Array(bytes.dropFirst(5))
    }
  }
}
