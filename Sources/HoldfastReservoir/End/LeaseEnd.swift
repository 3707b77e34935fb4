public import HoldfastCore

/// How a lease ended.
public enum LeaseEnd: Hashable, Sendable {
  /// The memory, of this size, was scrubbed and is ready again.
  case recycled(ByteCount)
  /// The file was unlinked, and as much new memory, of this size, was populated and is ready.
  case replaced(ByteCount)
  /// The file, of this size, was unlinked. The kernel frees the memory when no process has it
  /// mapped. The reason is why it was not recycled, where that was asked for.
  case released(ByteCount, reason: String?)
}

extension LeaseEnd: CustomStringConvertible {
  /// The end as a sentence for people.
  public var description: String {
    switch self {
    case .recycled(let size): "\(size) scrubbed and ready again."
    case .replaced(let size): "\(size) returned to the host, and as much new memory is ready."
    case .released(let size, nil):
      "\(size) returned to the host, at the latest when no process has it mapped."
    case .released(let size, let reason?): "\(size) returned to the host: \(reason)."
    }
  }
}

extension LeaseEnd: Codable {
  private enum CodingKeys: String, CodingKey {
    case outcome, reason
    case size = "sizeBytes"
  }

  private enum Outcome: String, Codable {
    case recycled
    case replaced
    case unlinked
  }

  /// Decodes an end.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let size = try values.decode(ByteCount.self, forKey: .size)
    switch try values.decode(Outcome.self, forKey: .outcome) {
    case .recycled: self = .recycled(size)
    case .replaced: self = .replaced(size)
    case .unlinked:
      self = .released(size, reason: try values.decodeIfPresent(String.self, forKey: .reason))
    }
  }

  /// Encodes the end: `outcome` is `recycled`, `replaced` or `unlinked`, `sizeBytes` the size,
  /// `reason` that of a release, or null.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    let (outcome, size, reason): (Outcome, ByteCount, String?) =
      switch self {
      case .recycled(let size): (.recycled, size, nil)
      case .replaced(let size): (.replaced, size, nil)
      case .released(let size, let reason): (.unlinked, size, reason)
      }
    try values.encode(outcome, forKey: .outcome)
    try values.encode(size, forKey: .size)
    try values.encode(reason, forKey: .reason)
  }
}
