internal import HoldfastCore

/// Answers of the lease protocol.
enum LeaseAnswer {
  private static let operation = "read the answer of the reservoir's service"

  /// The answer that an operation failed.
  static func packet(_ error: HoldfastError) -> String {
    var message = LeaseMessage()
    message.add("RESULT", "error")
    message.add("CODE", error.code.rawValue)
    message.add("OPERATION", error.operation)
    message.add("REASON", error.reason)
    if let errno = error.errno { message.add("ERRNO", errno) }
    if let advice = error.advice { message.add("ADVICE", advice.description) }
    return message.text
  }

  static func packet(_ receipt: LeaseReceipt) -> String {
    var message = LeaseMessage()
    message.add("RESULT", "lease")
    message.add("PATH", receipt.path)
    message.add("NAME", receipt.name)
    message.add("BYTES", receipt.size.rawValue)
    message.add("PAGE", receipt.pageSize.rawValue)
    if let node = receipt.node { message.add("NODE", node.rawValue) }
    message.add("TRIMMED", receipt.trimmed.rawValue)
    message.add("GROWN", receipt.grown.rawValue)
    message.add("HELD", receipt.isHeld ? 1 : 0)
    message.add("EXCLUSIVE", receipt.isExclusive ? 1 : 0)
    message.add("WAITED", Duration.bounded(seconds: receipt.waitedSeconds).nanoseconds)
    message.add("NANOSECONDS", Duration.bounded(seconds: receipt.seconds).nanoseconds)
    return message.text
  }

  static func packet(_ end: LeaseEnd) -> String {
    var message = LeaseMessage()
    message.add("RESULT", "release")
    switch end {
    case .recycled(let size), .replaced(let size): message.add("BYTES", size.rawValue)
    case .released(let size, let reason):
      message.add("BYTES", size.rawValue)
      if let reason { message.add("REASON", reason) }
    }
    return message.text
  }

  /// The largest number of rows in an answer, and of leases where the request has no `AFTER`.
  private static let mostLines = 256
  /// The length limit of an answer, less a line that says that there are more leases.
  private static let longestStatus = 65_536 - 64

  /// - Parameter after: the name that the first lease's is greater than. The answer then has as many
  ///   leases as it has room for.
  static func packet(_ status: ReservoirStatus, of user: UInt32, after: String? = nil) -> String {
    var message = LeaseMessage()
    message.add("RESULT", "status")
    message.add("PATH", status.path)
    message.add("PAGE", status.pageSize.rawValue)
    message.add("HUGETLB", status.isHugetlb ? 1 : 0)
    message.add("OWNER", status.owner)
    if let group = status.group { message.add("GROUP", group) }
    if let free = status.freePages { message.add("FREE", free.rawValue) }
    func text(_ node: NodeID?) -> String { node.map { "\($0.rawValue)" } ?? "-" }
    let leases = status.leases.filter { $0.user == user }
    for row in rows(status) {
      let own = leases.count { $0.size == row.size && $0.node == row.node }
      message.add(
        "ROW", "\(row.size.rawValue) \(text(row.node)) \(row.ready) \(own) \(row.filling)")
    }
    // Names are ASCII letters, digits, `-` and `_`, which compare by their bytes.
    let left = leases.filter { $0.name > after ?? "" }.sorted { $0.name < $1.name }
    var length = message.text.utf8.count
    var count = 0
    for lease in left {
      let line =
        "\(lease.name) \(lease.size.rawValue) \(text(lease.node)) \(lease.isHeld ? 1 : 0) "
        + "\(lease.seconds)"
      length += "\nLEASE=".utf8.count + line.utf8.count
      guard length <= longestStatus, after != nil || count < mostLines else { break }
      message.add("LEASE", line)
      count += 1
    }
    if count < left.count { message.add("MORE", 1) }
    return message.text
  }

  /// The rows of an answer. Where there are too many, those that have only leased files are left
  /// out first: the processes that have these files open can give them any size.
  private static func rows(_ status: ReservoirStatus) -> ArraySlice<ReservoirStatus.Row> {
    guard status.rows.count > mostLines else { return status.rows[...] }
    let ready = status.rows.filter { $0.ready > 0 }
    let filling = status.rows.filter { $0.ready == 0 && $0.filling > 0 }
    let others = status.rows.filter { $0.ready == 0 && $0.filling == 0 }
    return (ready + filling + others).prefix(mostLines)
  }

  /// Reads an answer.
  ///
  /// - Throws: the error that the answer states, or ``HoldfastError`` with the code `host` where
  ///   it is not an answer of this version.
  static func message(_ packet: String?, _ result: String) throws(HoldfastError) -> LeaseMessage {
    guard let packet, let message = LeaseMessage(packet) else { throw invalid }
    if message["RESULT"] == "error" {
      throw HoldfastError(
        message["CODE"].flatMap { HoldfastError.Code(rawValue: $0) } ?? .host,
        operation: message["OPERATION"] ?? "", reason: message["REASON"] ?? "",
        errno: message.number("ERRNO").flatMap { Int32(exactly: $0) },
        advice: message["ADVICE"].map { .other($0) })
    }
    guard message["RESULT"] == result else { throw invalid }
    return message
  }

  static var invalid: HoldfastError {
    HoldfastError(
      .host, operation: operation,
      reason: "it is not an answer of version \(LeaseMessage.version) of the protocol",
      advice: .other("the same version of the service and of this program"))
  }

  static func receipt(_ message: LeaseMessage) throws(HoldfastError) -> LeaseReceipt {
    guard let path = message["PATH"], let name = message["NAME"],
      let size = message.number("BYTES"), let page = message.number("PAGE")
    else { throw invalid }
    func bytes(_ key: String) -> ByteCount { ByteCount(message.number(key) ?? 0) }
    func seconds(_ key: String) -> Double { Double(message.number(key) ?? 0) / 1e9 }
    return LeaseReceipt(
      path: path, name: name, size: ByteCount(size), pageSize: ByteCount(page),
      node: message.number("NODE").flatMap { UInt32(exactly: $0) }.map { NodeID($0) },
      trimmed: bytes("TRIMMED"), grown: bytes("GROWN"), isHeld: message.number("HELD") == 1,
      isExclusive: message.number("EXCLUSIVE") == 1, waitedSeconds: seconds("WAITED"),
      seconds: seconds("NANOSECONDS"))
  }

  static func status(_ message: LeaseMessage, user: UInt32) throws(HoldfastError)
    -> ReservoirStatus
  {
    guard let path = message["PATH"], let page = message.number("PAGE") else { throw invalid }
    var status = ReservoirStatus(
      path: path, pageSize: ByteCount(page), isHugetlb: message.number("HUGETLB") == 1,
      owner: UInt32(clamping: message.number("OWNER") ?? 0),
      group: message.number("GROUP").map { UInt32(clamping: $0) }, isComplete: false)
    status.freePages = message.number("FREE").map { PageCount($0) }
    /// The node of a row or lease: nil where the text is neither a node nor `-`.
    func node(_ text: Substring) -> NodeID?? {
      text == "-" ? .some(nil) : ReadyName.node(text).map { .some($0) }
    }
    for line in message.all("ROW") {
      let words = line.split(separator: " ")
      guard words.count == 5, let size = LeaseMessage.number(words[0]), let node = node(words[1]),
        let ready = Int(words[2]), let leased = Int(words[3]), let filling = Int(words[4])
      else { throw invalid }
      status.rows.append(
        .init(
          size: ByteCount(size), node: node, ready: ready, leased: leased, filling: filling))
    }
    for line in message.all("LEASE") {
      let words = line.split(separator: " ")
      guard words.count == 5, let name = try? LeaseName(String(words[0])),
        let size = LeaseMessage.number(words[1]), let node = node(words[2]),
        let seconds = Int64(words[4])
      else { throw invalid }
      let isHeld = words[3] == "1"
      let file = LeaseFile(name, node: node, isHeld: isHeld)
      status.leases.append(
        .init(
          name: name.text, user: user, size: ByteCount(size), node: node,
          path: "\(path)/leased/\(user)/\(file.text)", isHeld: isHeld, seconds: seconds))
    }
    return status
  }
}
