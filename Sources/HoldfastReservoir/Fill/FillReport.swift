public import HoldfastCore
internal import HoldfastLinux

/// The result of a fill.
///
/// The Codable form has sizes in bytes as plain numbers.
public struct FillReport: Hashable, Sendable, Codable {
  /// The files that the fill made ready, by size, in the order of the plan.
  public private(set) var made: [FillPlan.Part] = []
  /// The sum of the sizes of all files in `made`.
  public private(set) var bytes = ByteCount.zero
  /// The number of files that were ready before and count towards the plan.
  public var found = 0
  /// The number of leftovers of interrupted fills and recycles that the fill unlinked.
  public var removed = 0
  /// The number of huge pages by which the fill raised the host's pool.
  public var reserved: PageCount = .zero
  /// The duration of the call in seconds.
  public var seconds = 0.0

  private enum CodingKeys: String, CodingKey {
    case made, bytes, found, removed, seconds
    case reserved = "reservedPages"
  }

  /// Adds files that were made ready.
  mutating func add(_ part: FillPlan.Part) {
    made.append(part)
    bytes += ByteCount(part.size.rawValue.saturatingProduct(UInt64(max(0, part.count))))
  }
}

extension FillReport: CustomStringConvertible {
  /// The report in one line for people:
  /// `1 ready before; 2x10G made ready in 4.1 s, 5 GiB/s`.
  public var description: String {
    var parts: [String] = []
    if removed > 0 { parts.append("\(removed) unfinished removed") }
    if found > 0 { parts.append("\(found) ready before") }
    parts.append(
      made.isEmpty
        ? "nothing to fill"
        : made.map(\.description).joined(separator: " ")
          + " made ready in \(Duration.bounded(seconds: seconds).shortText)" + rate)
    if reserved > .zero { parts.append("pool raised by \(reserved.rawValue) huge pages") }
    return parts.joined(separator: "; ")
  }

  /// The speed: `, 5.1 GiB/s`.
  private var rate: String {
    guard seconds > 0 else { return "" }
    let speed = UInt64(min(Double(bytes.rawValue) / seconds, 1e18))
    return ", \(HostReport.rounded(ByteCount(speed)))/s"
  }
}
