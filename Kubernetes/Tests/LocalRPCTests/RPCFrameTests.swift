import NIOCore
import Testing

@testable import LocalRPC

struct RPCFrameTests {
  private func read(_ pieces: [[UInt8]], limit: Int = 100) throws(RPCStatus) -> [UInt8] {
    var reader = RPCFrame.Reader(limit: limit)
    for piece in pieces { try reader.append(ByteBuffer(bytes: piece)) }
    return try reader.message()
  }

  @Test func `a message is read in pieces of any size`() throws {
    let message = Array("message".utf8)
    let frame = RPCFrame.write(message, ByteBufferAllocator())
    let bytes = Array(frame.readableBytesView)
    #expect(bytes == [0, 0, 0, 0, 7] + message)
    for cut in 0...bytes.count {
      #expect(try read([Array(bytes.prefix(cut)), Array(bytes.dropFirst(cut))]) == message)
    }
    #expect(try read(bytes.map { [$0] }) == message)
    #expect(try read([[0, 0, 0, 0, 0]]) == [])
  }

  @Test(
    arguments: [
      ([], .internal), ([0, 0, 0], .internal), ([0, 0, 0, 0, 2, 1], .internal),
      ([1, 0, 0, 0, 0], .unimplemented), ([255, 0, 0, 0, 1, 1], .unimplemented),
      ([0, 0, 0, 0, 101], .resourceExhausted), ([0, 255, 255, 255, 255], .resourceExhausted),
      ([0, 0, 0, 0, 1, 1, 0], .unimplemented), ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], .unimplemented),
    ] as [([UInt8], RPCStatus.Code)])
  func `what is not one message is refused`(bytes: [UInt8], code: RPCStatus.Code) {
    #expect { try read([bytes]) } throws: { ($0 as? RPCStatus)?.code == code }
    #expect { try read(bytes.map { [$0] }) } throws: { ($0 as? RPCStatus)?.code == code }
  }

  @Test(arguments: ["", "plain", "100 %", "ü\n€\u{0}", "%41"])
  func `a status's message is percent-encoded`(text: String) {
    let encoded = RPCStatus(.unknown, text).encodedMessage
    #expect(encoded.utf8.allSatisfy { (0x20...0x7e).contains($0) })
    #expect(RPCStatus(number: "2", message: encoded) == RPCStatus(.unknown, text))
  }

  @Test(
    arguments: [
      (nil, .internal), ("", .internal), ("0", .ok), ("-1", .unknown), ("16", .unknown),
      ("99999999999999999999", .internal), ("x", .internal),
    ] as [(String?, RPCStatus.Code)])
  func `a status's number that is no number is no success`(number: String?, code: RPCStatus.Code) {
    #expect(RPCStatus(number: number, message: "%zz%").code == code)
  }
}
