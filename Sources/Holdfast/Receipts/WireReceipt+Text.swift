internal import HoldfastCore
internal import HoldfastLinux

extension WireReceipt: CustomStringConvertible {
  /// The receipt in a few lines for people: a sentence, then pages, times and each fallback.
  public var description: String {
    let size = "\(requestedBytes) of guest memory at \(range.start)"
    guard let path else {
      return "\(size) mapped, not wired; \(HostReport.rounded(residentBytes)) resident"
    }
    let stages =
      path == .fault
      ? "page by page"
      : "allocating \(stages.allocating.shortText), zeroing \(stages.zeroing.shortText), "
        + "entering \(stages.entering.shortText), finishing \(stages.finishing.shortText)"
    let locked =
      lockProblem.map { "\(HostReport.rounded(lockedBytes)); \($0)" }
      ?? HostReport.rounded(lockedBytes)
    // What is not locked has a line of its own.
    let fallbacks = fallbacks.filter { !$0.hasPrefix("not locked:") }
    let lines =
      [
        "\(size) wired in \(duration.shortText)",
        "  pages: \(pages.pageList), \(backing.rawValue)",
        "  placement: \(placement.rawValue), \(placementReason)",
        "  zeroed: \(HostReport.rounded(zeroedAheadBytes)) ahead, "
          + "\(HostReport.rounded(zeroedNowBytes)) now",
        "  locked: \(locked)",
        "  time: \(stages); the arena took \(arenaDuration.shortText) before",
      ] + fallbacks.map { "  fallback: \($0)" }
    return lines.joined(separator: "\n")
  }
}

extension WireReceipt.Verification: CustomStringConvertible {
  /// The findings in a few lines for people: a sentence, then each problem and note.
  public var description: String {
    let nodes = (nodes ?? [:]).sorted { $0.key < $1.key }
      .map { ", \(HostReport.rounded($0.value)) on node \($0.key)" }.joined()
    let frames = comparedFrames ? ", frame by frame" : ""
    let lines =
      [
        (isVerified ? "verified" : "not verified")
          + " against pagemap and mincore(2)\(frames)",
        "  kernel: \(HostReport.rounded(residentBytes)) resident, pages: \(pages.pageList)\(nodes)",
      ] + problems.map { "  problem: \($0)" } + notes.map { "  note: \($0)" }
    return lines.joined(separator: "\n")
  }
}

extension [ByteCount: UInt64] {
  /// Pages by size, the largest first: `5120 of 2 MiB, 7 of 4 KiB`.
  fileprivate var pageList: String {
    let list = sorted { $0.key > $1.key }.map { "\($0.value) of \($0.key)" }
    return list.isEmpty ? "none" : list.joined(separator: ", ")
  }
}
