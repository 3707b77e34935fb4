/// The result of a call, with gRPC's number.
package struct RPCStatus: Error, Hashable, CustomStringConvertible {
  /// gRPC's status codes that are used here.
  package enum Code: Int, Sendable {
    case ok = 0
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case resourceExhausted = 8
    case failedPrecondition = 9
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String = "") {
    self.code = code
    self.message = message
  }

  package static let ok = RPCStatus(.ok)

  package var description: String { message.isEmpty ? "\(code)" : "\(code): \(message)" }

  /// The message as a header field: percent-encoded UTF-8.
  var encodedMessage: String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in message.utf8.prefix(1024) {
      if (0x20...0x7e).contains(byte), byte != UInt8(ascii: "%") {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Reads the fields that end a call.
  init(number: String?, message: String?) {
    self.init(
      number.flatMap { Int($0) }.map { Code(rawValue: $0) ?? .unknown } ?? .internal,
      message.map(Self.decoded) ?? "")
  }

  private static func decoded(_ text: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), rest.count >= 2,
        let coded = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      {
        bytes.append(coded)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
