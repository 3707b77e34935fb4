internal import HoldfastCore

/// A packet of the lease protocol: lines of key and value, as in sd_notify(3). docs/socket.md has
/// the format.
struct LeaseMessage {
  /// The version of the protocol, the value of the first key.
  static let version = "1"
  /// The length limit of a request, in bytes.
  static let longestRequest = 2048

  private(set) var lines: [(key: String, value: String)] = []

  init() { lines = [("HOLDFAST", Self.version)] }

  /// Reads a packet; nil where it is not a message of this version. Unknown keys are kept, since
  /// later versions may add some.
  init?(_ text: String) {
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      guard let equals = line.firstIndex(of: "=") else { return nil }
      lines.append((String(line[..<equals]), String(line[line.index(after: equals)...])))
    }
    guard let first = lines.first, first.key == "HOLDFAST", first.value == Self.version else {
      return nil
    }
  }

  /// The packet.
  var text: String { lines.map { $0.key + "=" + $0.value }.joined(separator: "\n") }

  /// Adds a line. A value has no line breaks, which would begin another key.
  mutating func add(_ key: String, _ value: String) {
    lines.append(
      (key, String(String.UnicodeScalarView(value.unicodeScalars.map { $0 == "\n" ? " " : $0 }))))
  }

  mutating func add(_ key: String, _ value: some BinaryInteger) { add(key, "\(value)") }

  /// The value of a key that occurs once; nil where it is missing or occurs again.
  subscript(_ key: String) -> String? {
    let found = lines.filter { $0.key == key }
    return found.count == 1 ? found[0].value : nil
  }

  /// The values of a key that may occur several times.
  func all(_ key: String) -> [String] { lines.filter { $0.key == key }.map(\.value) }

  /// Whether a key occurs more than once.
  var hasRepetitions: Bool { Set(lines.map(\.key)).count < lines.count }

  /// The number of a key; nil where it is missing or not a number.
  func number(_ key: String) -> UInt64? { self[key].flatMap { Self.number($0) } }

  static func number(_ text: some StringProtocol) -> UInt64? {
    UInt64(digits: text)
  }
}

/// What a request asks for.
enum LeaseCommand {
  case lease(LeaseRequest)
  case release(LeaseName)
  /// The leases with names after this one, or the first ones.
  case status(after: String?)
}

extension LeaseCommand {
  private static let operation = "read a request"

  /// The longest wait that a request can ask for.
  private static let longestWait: UInt64 = 86_400_000

  private static func fail(_ reason: String) -> HoldfastError {
    HoldfastError(.invalidArgument, operation: operation, reason: reason)
  }

  /// Reads a request, which any user may have sent.
  ///
  /// - Throws: ``HoldfastError`` with the code `invalidArgument`.
  init(packet: String?) throws(HoldfastError) {
    guard let packet, let message = LeaseMessage(packet) else {
      throw Self.fail("it is not a request of version \(LeaseMessage.version)")
    }
    guard !message.hasRepetitions else { throw Self.fail("a key occurs more than once") }
    switch message["REQUEST"] {
    case "lease": self = .lease(try Self.request(message))
    case "release":
      guard let name = message["NAME"] else { throw Self.fail("NAME is missing") }
      self = .release(try LeaseName(name))
    case "status": self = .status(after: try Self.after(message))
    case let other: throw Self.fail("REQUEST=\((other ?? "").prefix(32)) is unknown")
    }
  }

  /// The name after which the answer begins; empty for the first page.
  private static func after(_ message: LeaseMessage) throws(HoldfastError) -> String? {
    guard let text = message["AFTER"], !text.isEmpty else { return message["AFTER"] }
    return try LeaseName(text).text
  }

  private static func request(_ message: LeaseMessage) throws(HoldfastError) -> LeaseRequest {
    func number(_ key: String, atMost most: UInt64) throws(HoldfastError) -> UInt64? {
      guard let text = message[key] else { return nil }
      guard let number = LeaseMessage.number(text), number <= most else {
        throw fail("\(key) is not a number of at most \(most)")
      }
      return number
    }
    guard let bytes = try number("BYTES", atMost: UInt64(Int64.max)) else {
      throw fail("BYTES is missing")
    }
    var request = LeaseRequest(size: ByteCount(bytes))
    if let name = message["NAME"] { request.name = try LeaseName(name) }
    request.node = try number("NODE", atMost: 1023).map { NodeID(UInt32($0)) }
    request.isExact = try number("EXACT", atMost: 1) == 1
    request.grows = try number("GROW", atMost: 1) == 1
    request.isHeld = try number("HELD", atMost: 1) == 1
    request.timeout = .milliseconds(
      Int64(try number("WAIT", atMost: longestWait) ?? 0))
    if request.grows, request.isExact { throw fail("EXACT and GROW exclude each other") }
    return request
  }

  /// The request as a packet.
  var packet: String {
    var message = LeaseMessage()
    switch self {
    case .lease(let request):
      message.add("REQUEST", "lease")
      message.add("BYTES", request.size.rawValue)
      if let name = request.name { message.add("NAME", name.text) }
      if let node = request.node { message.add("NODE", node.rawValue) }
      if request.isExact { message.add("EXACT", 1) }
      if request.grows { message.add("GROW", 1) }
      if request.isHeld { message.add("HELD", 1) }
      let wait = min(request.timeout.nanoseconds / 1_000_000, Self.longestWait)
      if wait > 0 { message.add("WAIT", wait) }
    case .release(let name):
      message.add("REQUEST", "release")
      message.add("NAME", name.text)
    case .status(let after):
      message.add("REQUEST", "status")
      if let after { message.add("AFTER", after) }
    }
    return message.text
  }
}
