internal import HoldfastCore

extension WireReceipt: Codable {
  private enum CodingKeys: String, CodingKey {
    case range, requestedBytes, residentBytes, wiredBytes, lockedBytes, lockProblem, pages
    case zeroedAheadBytes, zeroedNowBytes, backing, path, fallbacks, wireSeconds, stages
    case arenaSeconds, placement, placementReason
  }

  /// What the key `path` has where the call wired nothing.
  private static let noPath = "none"

  /// Reads a receipt, whose `verify` throws `invalidAddress`.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    range = try values.decode(AddressRange.self, forKey: .range)
    residentBytes = try values.decode(ByteCount.self, forKey: .residentBytes)
    wiredBytes = try values.decode(ByteCount.self, forKey: .wiredBytes)
    lockedBytes = try values.decode(ByteCount.self, forKey: .lockedBytes)
    lockProblem = try values.decodeIfPresent(String.self, forKey: .lockProblem)
    pages = try ReceiptKeys.sizes(try values.decode([String: UInt64].self, forKey: .pages), values)
    zeroedAheadBytes = try values.decode(ByteCount.self, forKey: .zeroedAheadBytes)
    zeroedNowBytes = try values.decode(ByteCount.self, forKey: .zeroedNowBytes)
    backing = try values.decode(Backing.self, forKey: .backing)
    placement = try values.decode(GuestPlacement.self, forKey: .placement)
    placementReason = try values.decode(String.self, forKey: .placementReason)
    let path = try values.decode(String.self, forKey: .path)
    self.path = path == Self.noPath ? nil : try values.decode(Path.self, forKey: .path)
    fallbacks = try values.decode([String].self, forKey: .fallbacks)
    duration = .bounded(seconds: try values.decode(Double.self, forKey: .wireSeconds))
    stages = try values.decode(Stages.self, forKey: .stages)
    arenaDuration = .bounded(seconds: try values.decode(Double.self, forKey: .arenaSeconds))
    source = Source(nil)
  }

  /// Writes the receipt. Pages are an object whose keys are page sizes in bytes; `path` is `none`
  /// where the call wired nothing, and `lockProblem` is null where all is locked.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(range, forKey: .range)
    try values.encode(requestedBytes, forKey: .requestedBytes)
    try values.encode(residentBytes, forKey: .residentBytes)
    try values.encode(wiredBytes, forKey: .wiredBytes)
    try values.encode(lockedBytes, forKey: .lockedBytes)
    try values.encode(lockProblem, forKey: .lockProblem)
    try values.encode(ReceiptKeys.strings(pages), forKey: .pages)
    try values.encode(zeroedAheadBytes, forKey: .zeroedAheadBytes)
    try values.encode(zeroedNowBytes, forKey: .zeroedNowBytes)
    try values.encode(backing, forKey: .backing)
    try values.encode(placement, forKey: .placement)
    try values.encode(placementReason, forKey: .placementReason)
    try values.encode(path?.rawValue ?? Self.noPath, forKey: .path)
    try values.encode(fallbacks, forKey: .fallbacks)
    try values.encode(duration.seconds, forKey: .wireSeconds)
    try values.encode(stages, forKey: .stages)
    try values.encode(arenaDuration.seconds, forKey: .arenaSeconds)
  }
}

extension WireReceipt.Stages: Codable {
  private enum CodingKeys: String, CodingKey {
    case allocating, zeroing, entering, finishing
  }

  /// Reads an object of seconds.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    allocating = .bounded(seconds: try values.decode(Double.self, forKey: .allocating))
    zeroing = .bounded(seconds: try values.decode(Double.self, forKey: .zeroing))
    entering = .bounded(seconds: try values.decode(Double.self, forKey: .entering))
    finishing = .bounded(seconds: try values.decode(Double.self, forKey: .finishing))
  }

  /// Writes an object of seconds.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(allocating.seconds, forKey: .allocating)
    try values.encode(zeroing.seconds, forKey: .zeroing)
    try values.encode(entering.seconds, forKey: .entering)
    try values.encode(finishing.seconds, forKey: .finishing)
  }
}

extension WireReceipt.Verification: Codable {
  private enum CodingKeys: String, CodingKey {
    case presentBytes, pages, nodes, verified, verifiedFrames, problems, notes
    case residentBytes = "kernelResidentBytes"
    case lockedBytes = "kernelLockedBytes"
  }

  /// Reads what `encode(to:)` writes; the key `verified` is ignored, since it follows from
  /// `problems`.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    presentBytes = try values.decode(ByteCount.self, forKey: .presentBytes)
    residentBytes = try values.decode(ByteCount.self, forKey: .residentBytes)
    lockedBytes = try values.decode(ByteCount.self, forKey: .lockedBytes)
    pages = try ReceiptKeys.sizes(try values.decode([String: UInt64].self, forKey: .pages), values)
    nodes = try values.decodeIfPresent([String: ByteCount].self, forKey: .nodes).map { nodes in
      try ReceiptKeys.numbers(nodes, values, UInt32.init) { NodeID($0) }
    }
    comparedFrames = try values.decode(Bool.self, forKey: .verifiedFrames)
    problems = try values.decode([String].self, forKey: .problems)
    notes = try values.decode([String].self, forKey: .notes)
  }

  /// Writes the findings. Pages and nodes are objects whose keys are page sizes in bytes and
  /// numbers of nodes; `nodes` is null where the kernel does not report nodes.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(presentBytes, forKey: .presentBytes)
    try values.encode(residentBytes, forKey: .residentBytes)
    try values.encode(lockedBytes, forKey: .lockedBytes)
    try values.encode(ReceiptKeys.strings(pages), forKey: .pages)
    let nodes = nodes.map { nodes in
      Dictionary(uniqueKeysWithValues: nodes.map { ("\($0.key)", $0.value) })
    }
    try values.encode(nodes, forKey: .nodes)
    try values.encode(isVerified, forKey: .verified)
    try values.encode(comparedFrames, forKey: .verifiedFrames)
    try values.encode(problems, forKey: .problems)
    try values.encode(notes, forKey: .notes)
  }
}

/// JSON objects whose keys are numbers.
private enum ReceiptKeys {
  static func strings(_ pages: [ByteCount: UInt64]) -> [String: UInt64] {
    Dictionary(uniqueKeysWithValues: pages.map { ("\($0.key.rawValue)", $0.value) })
  }

  static func sizes(
    _ pages: [String: UInt64], _ values: KeyedDecodingContainer<some CodingKey>
  ) throws -> [ByteCount: UInt64] {
    try numbers(pages, values, UInt64.init) { ByteCount($0) }
  }

  static func numbers<Key: Hashable, Number, Value>(
    _ object: [String: Value], _ values: KeyedDecodingContainer<some CodingKey>,
    _ number: (String) -> Number?, _ key: (Number) -> Key
  ) throws -> [Key: Value] {
    var result: [Key: Value] = [:]
    for (text, value) in object {
      guard let number = number(text) else {
        throw DecodingError.dataCorrupted(
          .init(codingPath: values.codingPath, debugDescription: "\(text) is not a number"))
      }
      result[key(number)] = value
    }
    return result
  }
}
