public import HoldfastCore

/// What `VirtualMachine.preFault` mapped, and how long it took.
public struct PreFaultReport: Hashable, Sendable {
  /// Whether the host's KVM can map memory ahead. Where it cannot, the call did nothing, and the
  /// guest takes these faults inside the kernel when it accesses the memory.
  public let isSupported: Bool
  /// Bytes of the range that the guest's page tables map now.
  public let bytes: ByteCount
  /// The length of the range.
  public let requested: ByteCount
  /// How often a request had to be repeated, because a signal interrupted it or slots changed.
  public let restarts: UInt64
  /// How long the call took.
  public let duration: Duration
}

extension PreFaultReport: CustomStringConvertible {
  /// One line for people: `mapped 4 GiB of 4 GiB ahead in 18.2 ms`.
  public var description: String {
    guard isSupported else { return "this host's KVM cannot map memory ahead (Linux 6.11 can)" }
    return "mapped \(bytes) of \(requested) ahead in \(duration.shortText)"
      + (restarts == 0 ? "" : ", \(restarts) requests repeated")
  }
}

extension PreFaultReport: Codable {
  private enum CodingKeys: String, CodingKey {
    case isSupported = "preFaultSupported"
    case bytes = "preFaultedBytes"
    case requested = "preFaultRequestedBytes"
    case restarts = "preFaultRestarts"
    case duration = "preFaultSeconds"
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    isSupported = try values.decode(Bool.self, forKey: .isSupported)
    bytes = try values.decode(ByteCount.self, forKey: .bytes)
    requested = try values.decode(ByteCount.self, forKey: .requested)
    restarts = try values.decode(UInt64.self, forKey: .restarts)
    duration = .bounded(seconds: try values.decode(Double.self, forKey: .duration))
  }

  /// Writes an object whose keys begin with `preFault`, byte counts and seconds as numbers.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(isSupported, forKey: .isSupported)
    try values.encode(bytes, forKey: .bytes)
    try values.encode(requested, forKey: .requested)
    try values.encode(restarts, forKey: .restarts)
    try values.encode(duration.seconds, forKey: .duration)
  }
}
