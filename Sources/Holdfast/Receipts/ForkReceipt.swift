public import HoldfastCore
internal import HoldfastLinux

/// What a fork shares, and how long it took.
public struct ForkReceipt: Hashable, Sendable {
  /// Bytes that are resident for the child from the start.
  public let residentBytes: ByteCount
  /// Bytes of these in frames that the child shares with the parent until either writes to them.
  public let sharedBytes: ByteCount
  /// Bytes that the fork copied, because the parent has them wired.
  public var copiedBytes: ByteCount { residentBytes - sharedBytes }
  /// How long the parent could not write: from the reservation of the child's window until all
  /// memory was shared or copied.
  public let duration: Duration
  /// How long the reservation of the child's window took, before that.
  public let windowDuration: Duration
}

extension ForkReceipt: CustomStringConvertible {
  /// One line for people: `forked in 1.02 ms: 4 GiB resident, 4 GiB shared, 0 bytes copied`.
  public var description: String {
    "forked in \(duration.shortText): \(HostReport.rounded(residentBytes)) resident, "
      + "\(HostReport.rounded(sharedBytes)) shared, \(HostReport.rounded(copiedBytes)) copied"
  }
}

extension ForkReceipt: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case residentBytes = "forkResidentBytes"
    case sharedBytes = "forkSharedBytes"
    case copiedBytes = "forkCopiedBytes"
    case duration = "forkSeconds"
    case windowDuration = "forkWindowSeconds"
  }

  /// Reads what `encode(to:)` writes; `forkCopiedBytes` is ignored, since it follows from the rest.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    residentBytes = try values.decode(ByteCount.self, forKey: .residentBytes)
    sharedBytes = try values.decode(ByteCount.self, forKey: .sharedBytes)
    guard sharedBytes <= residentBytes else {
      throw DecodingError.dataCorruptedError(
        forKey: .sharedBytes, in: values, debugDescription: "more is shared than resident")
    }
    duration = .bounded(seconds: try values.decode(Double.self, forKey: .duration))
    windowDuration = .bounded(seconds: try values.decode(Double.self, forKey: .windowDuration))
  }

  /// Writes an object with the keys of `holdfast probe --format json`, and more that begin with
  /// `fork`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(residentBytes, forKey: .residentBytes)
    try values.encode(sharedBytes, forKey: .sharedBytes)
    try values.encode(copiedBytes, forKey: .copiedBytes)
    try values.encode(duration.seconds, forKey: .duration)
    try values.encode(windowDuration.seconds, forKey: .windowDuration)
  }

  /// Writes the keys of a receipt with null, for what has none: a fork that was not made.
  package static func encodeNone(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    for key in CodingKeys.allCases { try values.encodeNil(forKey: key) }
  }
}
