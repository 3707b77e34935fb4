internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

extension ProbeResult {
  /// The result for people: a sentence, then the figures.
  var text: String {
    var rows: [(label: String, value: String)] = [
      ("mode", modeText),
      ("backing", backing.rawValue),
    ]
    if let wireSeconds { rows.append(("wiring", formatted(.seconds(wireSeconds)))) }
    if let fillSeconds {
      rows.append(("first guest", "filled its memory in \(formatted(.seconds(fillSeconds)))"))
    }
    if let fork {
      let shared = HostReport.rounded(fork.sharedBytes)
      rows.append(("fork", "\(formatted(fork.duration)), \(shared) shared"))
    }
    if let snapshot {
      let written = HostReport.rounded(snapshot.writtenBytes)
      let size = HostReport.rounded(snapshot.bytes)
      rows.append(
        (
          "saving",
          "\(formatted(snapshot.duration)), \(written) written of \(size)"
            + (snapshotFile.map { ", kept in " + Output.singleLine($0) } ?? "")
        ))
    }
    rows.append(("access", access))
    if let writeSeconds {
      rows.append(("writing", formatted(.seconds(writeSeconds)) + " for a write to each page"))
    }
    rows.append(("faults", faultList))
    rows.append(("exits", exitList))
    rows.append(("resident", resident))
    rows.append(("zero check", zeroCheck))
    rows.append(("arena", "prepared before in \(formatted(.seconds(arenaSeconds)))"))
    if let reservedPages {
      let noun = reservedPages == 1 ? "huge page" : "huge pages"
      rows.append(("reserved", "\(grouped(reservedPages)) \(noun), returned"))
    }
    rows.append(("verified", verified ? "yes" : "no"))
    rows += problems.map { ("problem", $0) }
    return headline + "\n\n" + labeled(rows)
  }

  private var headline: String {
    "A guest with \(processors) accessed \(memoryBytes) in \(formatted(.seconds(touchSeconds))), "
      + "\(faultText), "
      + (verified ? "contents verified." : "but its contents are wrong.")
  }

  private var faultText: String {
    let count = faultCount
    return count == 0
      ? "no page faults" : count == 1 ? "1 page fault" : "\(grouped(count)) page faults"
  }

  private var processors: String {
    cpus == 1 ? "1 processor" : "\(grouped(UInt64(cpus))) processors"
  }

  private var modeText: String {
    switch mode {
    case .wired: "wired, all memory wired before the guest starts"
    case .demand: "demand, pages allocated when the guest accesses them"
    case .fork: "fork of a guest that filled three quarters of its memory"
    case .snapshot:
      "snapshot of a guest that filled three quarters of its memory, restored on demand"
    }
  }

  private var access: String {
    let each = touchedPages == 0 ? 0 : touchSeconds / Double(touchedPages) * Double(cpus)
    return "\(formatted(.seconds(touchSeconds))) for \(grouped(touchedPages)) pages of 4 KiB, "
      + "\(formatted(.seconds(each))) for each on a processor"
  }

  private var faultList: String {
    guard let faults, faultCount > 0 else { return "none" }
    var list = ["\(grouped(faults.demandFaults)) on absent pages"]
    if faults.copyFaults > 0 { list.append("\(grouped(faults.copyFaults)) on shared pages") }
    var origins: [String] = []
    if faults.zeroedFaults > 0 {
      origins.append("\(grouped(faults.zeroedFaults)) added zeroed pages")
    }
    if faults.copiedFaults > 0 { origins.append("\(grouped(faults.copiedFaults)) copied pages") }
    if faults.pagedFaults > 0 { origins.append("\(grouped(faults.pagedFaults)) read the file") }
    return list.joined(separator: ", ")
      + (origins.isEmpty ? "" : "; " + origins.joined(separator: ", "))
  }

  private var exitList: String {
    exits.sorted { $0.key < $1.key }.map { "\(grouped($0.value)) \($0.key)" }
      .joined(separator: ", ")
  }

  private var resident: String {
    HostReport.rounded(residentBytes)
      + (sharedBytes == .zero ? "" : ", \(HostReport.rounded(sharedBytes)) of it shared")
  }

  private var zeroCheck: String {
    nonzeroBytes == 0
      ? "all new memory is zero" : "\(grouped(nonzeroBytes)) bytes are not zero"
  }
}
