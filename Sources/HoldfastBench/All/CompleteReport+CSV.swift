internal import HoldfastCore

extension CompleteReport {
  /// Each run of each way as a line of comma-separated values (RFC 4180), for other programs.
  public var csv: String {
    var lines = ["group,way,name,kind,backing,memory_bytes,threads,run,seconds,noisy"]
    for way in ways {
      for (run, seconds) in way.seconds.enumerated() {
        let cells = [
          way.group.rawValue, way.way, way.name, way.kind.rawValue, way.backing ?? "",
          way.memory.map { "\($0.rawValue)" } ?? "", "\(way.threads)", "\(run + 1)", "\(seconds)",
          isNoisy(way, run) ? "1" : "0",
        ]
        lines.append(cells.map(CompleteReport.cell).joined(separator: ","))
      }
    }
    return lines.joined(separator: "\r\n") + "\r\n"
  }

  private static func cell(_ text: String) -> String {
    guard text.contains(where: { ",\"\r\n".contains($0) }) else { return text }
    return "\""
      + text.split(separator: "\"", omittingEmptySubsequences: false)
      .joined(separator: "\"\"") + "\""
  }
}
