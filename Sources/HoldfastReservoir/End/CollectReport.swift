public import HoldfastCore
internal import HoldfastLinux

/// The result of a collection or of a drain.
public struct CollectReport: Hashable, Sendable, Codable {
  /// The number of leftovers of dead fills and recycles that were unlinked.
  public var removed = 0
  /// The number of orphans that were scrubbed and are ready again.
  public var recycled = 0
  /// The number of orphans that were unlinked and replaced by new memory.
  public var replaced = 0
  /// The number of orphans, or in a drain of ready files, whose memory was returned to the host.
  public var released = 0
  /// The bytes of all four.
  public var bytes = ByteCount.zero
  /// The number of held leases and unfinished files whose lock a process has.
  public var live = 0
  /// The number of old plain leases that a process has open.
  public var inUse = 0
  /// The number of plain leases that seem to be older than the boot of the host, because its clock
  /// was set, and were left alone.
  public var undated = 0
  /// Files that are not the reservoir's and were left alone, each as path and reason.
  public var foreign: [String] = []
  /// Files that were moved from ready to quarantine, each as path and reason.
  public var quarantined: [String] = []
  /// Files that could not be collected, each as path and error. The others were.
  public var failed: [String] = []

  /// Whether the time of ``CollectOptions/limit`` ended before all files were inspected.
  package var isCutShort = false

  /// Creates an empty report.
  public init() {}

  private enum CodingKeys: String, CodingKey {
    case removed, recycled, replaced, bytes, live, inUse, undated, foreign, quarantined, failed
    case released = "unlinked"
  }

  /// Adds the size of a file.
  mutating func add(_ size: ByteCount) {
    // A monitor may give its file any size.
    bytes += size
  }
}

extension CollectReport: CustomStringConvertible {
  /// The report for people: a line, then one for each foreign file and each that was moved to
  /// quarantine. Failures are not included.
  public var description: String {
    var parts: [String] = []
    func add(_ count: Int, _ text: String) {
      if count > 0 { parts.append("\(count) \(text)") }
    }
    add(removed, "unfinished removed")
    add(recycled, "ready again")
    add(replaced, "replaced by new memory")
    add(released, "returned to the host")
    add(live, "in use left alone")
    add(inUse, "old but in use left alone")
    add(undated, "of unknown age left alone, since the clock was set")
    let line = parts.isEmpty ? "nothing to do" : parts.joined(separator: ", ")
    return
      ([line + (bytes > .zero ? "; \(HostReport.rounded(bytes))" : "")]
      + foreign.map { "foreign file: \($0.printable)" }
      + quarantined.map { "moved to quarantine: \($0.printable)" }).joined(separator: "\n")
  }
}
