public import HoldfastCore

/// The properties of the memory that a lease obtained.
///
/// The Codable form has sizes in bytes as plain numbers.
public struct LeaseReceipt: Hashable, Sendable, Codable {
  /// The path of the file, for the monitor.
  public var path: String
  /// The lease's name.
  public var name: String
  /// The size of the memory.
  public var size: ByteCount
  /// The size of its pages.
  public var pageSize: ByteCount
  /// The NUMA node that the memory was bound to when it was filled, or nil.
  public var node: NodeID?
  /// The bytes that were truncated from a larger file and returned to the host.
  public var trimmed: ByteCount
  /// The bytes that were populated now, by which a smaller file was extended.
  public var grown: ByteCount
  /// Whether the lease is held and ends with its lock.
  public var isHeld: Bool
  /// Whether the kernel proved that no other process had the file open or mapped when it was leased
  /// (F_SETLEASE), from when on only its user, the reservoir's owner and root can open it. Always
  /// true for memory that this version leases.
  public var isExclusive: Bool
  /// The seconds that the call waited for memory or other processes.
  public var waitedSeconds: Double
  /// The seconds that the lease took after the wait.
  public var seconds: Double

  private enum CodingKeys: String, CodingKey {
    case path, name, node, isHeld, isExclusive, waitedSeconds, seconds
    case size = "sizeBytes"
    case pageSize = "pageBytes"
    case trimmed = "trimmedBytes"
    case grown = "grownBytes"
  }
}

extension LeaseReceipt: CustomStringConvertible {
  /// The receipt in one line for people:
  /// `10 GiB leased as 'vm1' in 52.1 µs: /dev/hugepages/holdfast/leased/0/vm1`.
  public var description: String {
    var parts = [
      "\(size) leased as '\(name)' in \(Duration.bounded(seconds: seconds).shortText): \(path)"
    ]
    // A call that does not wait still takes a moment before its first attempt.
    if waitedSeconds >= 0.001 {
      parts.append("waited \(Duration.bounded(seconds: waitedSeconds).shortText) before")
    }
    if trimmed > .zero { parts.append("\(trimmed) of a larger file returned to the host") }
    if grown > .zero { parts.append("\(grown) populated now") }
    if let node { parts.append("on node \(node)") }
    if !isExclusive { parts.append("other processes may have it open") }
    return parts.joined(separator: "; ")
  }
}
