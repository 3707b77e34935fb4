import DevicePluginWire
import Testing

/// A byte, or the bytes of a text.
private enum Part: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
  case byte(UInt8)
  case text(String)

  init(integerLiteral byte: UInt8) { self = .byte(byte) }
  init(stringLiteral text: String) { self = .text(text) }
}

private func wire(_ parts: Part...) -> [UInt8] {
  parts.flatMap { part in
    switch part {
    case .byte(let byte): [byte]
    case .text(let text): [UInt8](text.utf8)
    }
  }
}

/// The bytes are written by hand from the published field numbers.
struct DevicePluginWireTests {
  @Test func `a registration has the published fields`() throws {
    let request = RegisterRequest(
      endpoint: "e", resourceName: "r", options: DevicePluginOptions(hasPreferredAllocation: true))
    let bytes = wire(0x0a, 7, "v1beta1", 0x12, 1, "e", 0x1a, 1, "r", 0x22, 2, 0x10, 1)
    #expect(request.wire == bytes)
    #expect(try RegisterRequest(wire: bytes) == request)
  }

  @Test func `devices have a health and the nodes that they are near to`() throws {
    let list = DeviceList([
      Device(id: "n1-0", isHealthy: true, nodes: [1]), Device(id: "a", isHealthy: false),
      Device(id: "n0-0", isHealthy: true, nodes: [0]),
    ])
    // Node 0 is the default of its field, which is left out; the node is not.
    let bytes = wire(
      0x0a, 21, 0x0a, 4, "n1-0", 0x12, 7, "Healthy", 0x1a, 4, 0x0a, 2, 8, 1, 0x0a, 14, 0x0a, 1, "a",
      0x12, 9, "Unhealthy", 0x0a, 19, 0x0a, 4, "n0-0", 0x12, 7, "Healthy", 0x1a, 2, 0x0a, 0)
    #expect(list.wire == bytes)
    #expect(try DeviceList(wire: bytes) == list)
  }

  @Test func `an allocation has variables and mounts`() throws {
    var container = AllocateResponse.Container()
    container.environment = ["B": "", "A": "1"]
    container.mounts = [Mount(containerPath: "/c", hostPath: "/h")]
    let bytes = wire(
      0x0a, 6, 0x0a, 1, "A", 0x12, 1, "1", 0x0a, 3, 0x0a, 1, "B", 0x12, 8, 0x0a, 2, "/c", 0x12, 2,
      "/h")
    #expect(container.wire == bytes)
    #expect(try AllocateResponse.Container(wire: bytes) == container)
    let answer = AllocateResponse([container, .init()])
    #expect(try AllocateResponse(wire: answer.wire) == answer)
    #expect(answer.wire.suffix(2) == [0x0a, 0])
  }

  @Test func `a request to choose has a count that may be negative`() throws {
    let bytes = wire(
      0x0a, 19, 0x0a, 1, "a", 0x0a, 0, 0x12, 1, "b", 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0x01)
    let request = PreferredAllocationRequest([
      .init(available: ["a", ""], mustInclude: ["b"], count: -1)
    ])
    #expect(request.wire == bytes)
    #expect(try PreferredAllocationRequest(wire: bytes) == request)
  }

  @Test func `a list of devices in use is read through pods and containers`() throws {
    let devices = wire(0x0a, 1, "r", 0x12, 1, "a", 0x12, 1, "b")
    let container = wire(0x0a, 1, "c", 0x12, 9) + devices + [0x1a, 2, 1, 2]
    let pod = wire(0x0a, 1, "p", 0x12, 1, "n", 0x1a, 18) + container
    let bytes = [0x0a, UInt8(pod.count)] + pod + [0x0a, 0]
    let list = PodResources([.init(resourceName: "r", id: "a"), .init(resourceName: "r", id: "b")])
    #expect(try PodResources(wire: bytes) == list)
    #expect(try PodResources(wire: list.wire) == list)
  }

  @Test func `unknown fields of each type are skipped`() throws {
    let unknown: [UInt8] =
      [0x78, 0x80, 0x01, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 2, 0xff, 0xff, 0x7d, 1, 2, 3, 4]
    let bytes = unknown + wire(0x0a, 1, "x") + unknown
    #expect(try DeviceIDs(wire: bytes) == DeviceIDs(["x"]))
    #expect(try EmptyMessage(wire: bytes) == EmptyMessage())
  }

  @Test(
    arguments: [
      ([0x0a], .truncated), ([0x0a, 2, 0x61], .truncated), ([0x80], .truncated),
      ([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], .truncated),
      ([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], .badNumber),
      ([0x08] + [UInt8](repeating: 0x80, count: 11), .badNumber),
      ([0x0b], .badTag), ([0x0c], .badTag), ([0x0e], .badTag), ([0x0f], .badTag), ([0], .badTag),
      ([0x02, 0], .badTag), ([0xfa, 0xff, 0xff, 0xff, 0x7f, 0], .badTag),
      ([0x08, 1], .badType), ([0x09, 1, 2, 3, 4, 5, 6, 7, 8], .badType),
      ([0x0a, 1, 0xff], .badText), ([0x0a, 3, 0xed, 0xa0, 0x80], .badText),
      ([0x0d, 1, 2, 3], .truncated), ([0x09, 1], .truncated),
    ] as [([UInt8], WireError)])
  func `malformed bytes are an error`(bytes: [UInt8], error: WireError) {
    #expect(throws: error) { try DeviceIDs(wire: bytes) }
  }

  @Test func `a message has at most 65,536 elements`() throws {
    let element: [UInt8] = [0x0a, 0]
    let most = (0..<WireReader.mostElements).flatMap { _ in element }
    #expect(try DeviceIDs(wire: most).ids.count == WireReader.mostElements)
    #expect(throws: WireError.tooMany) { try DeviceIDs(wire: most + element) }
  }

  @Test func `random bytes never trap, and what is read is written again`() {
    var generator = SystemRandomNumberGenerator()
    var read = 0
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
        // Tags and short lengths are frequent, so that some messages are read.
        Bool.random(using: &generator)
          ? [0x0a, 0x12, 0x18, 0x1a, 0x22, 0, 1, 2, 3].randomElement(using: &generator)!
          : UInt8.random(in: 0...255, using: &generator)
      }
      func check<Message: WireMessage>(_ type: Message.Type) {
        guard let message = try? Message(wire: bytes) else { return }
        read += 1
        let again = try? Message(wire: message.wire)
        #expect(again == message, "\(bytes)")
      }
      check(RegisterRequest.self)
      check(DeviceList.self)
      check(AllocateRequest.self)
      check(AllocateResponse.self)
      check(PreferredAllocationRequest.self)
      check(PodResources.self)
    }
    #expect(read > 1000)
  }
}
