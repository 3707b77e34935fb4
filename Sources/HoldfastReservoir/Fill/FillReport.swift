public import HoldfastCore
internal import HoldfastLinux

/// The result of a fill.
///
/// The Codable form has sizes in bytes as plain numbers, and also the sum `bytes`.
public struct FillReport: Hashable, Sendable {
  /// The files that the fill made ready, by size, in the order of the plan.
  public var made: [FillPlan.Part] = []
  /// The number of files that were ready before and count towards the plan.
  public var found = 0
  /// The number of leftovers of interrupted fills and recycles that the fill unlinked.
  public var removed = 0
  /// The number of huge pages by which the fill raised the host's pool.
  public var reserved: PageCount = .zero
  /// The duration of the call in seconds.
  public var seconds = 0.0

  /// The sum of the sizes of all files in `made`.
  public var bytes: ByteCount {
    made.reduce(.zero) { $0 + ByteCount(UInt64($1.count) * $1.size.rawValue) }
  }
}

extension FillReport: Codable {
  private enum CodingKeys: String, CodingKey {
    case made, found, removed, bytes, seconds
    case reserved = "reservedPages"
  }

  /// Decodes a report; its sum `bytes` is computed anew.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    made = try values.decode([FillPlan.Part].self, forKey: .made)
    found = try values.decode(Int.self, forKey: .found)
    removed = try values.decode(Int.self, forKey: .removed)
    reserved = try values.decode(PageCount.self, forKey: .reserved)
    seconds = try values.decode(Double.self, forKey: .seconds)
  }

  /// Encodes the report, with the sum `bytes`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(made, forKey: .made)
    try values.encode(found, forKey: .found)
    try values.encode(removed, forKey: .removed)
    try values.encode(bytes, forKey: .bytes)
    try values.encode(reserved, forKey: .reserved)
    try values.encode(seconds, forKey: .seconds)
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
          + " made ready in \(Duration.seconds(seconds).shortText)" + rate)
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
