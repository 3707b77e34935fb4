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
      rows.append(("first guest", "wrote its pages in \(formatted(.seconds(fillSeconds)))"))
    }
    if let forkSeconds {
      let shared = HostReport.rounded(forkSharedBytes ?? .zero)
      rows.append(("fork", "\(formatted(.seconds(forkSeconds))), \(shared) shared"))
    }
    if let saveSeconds {
      let written = HostReport.rounded(snapshotWrittenBytes ?? .zero)
      let size = HostReport.rounded(snapshotBytes ?? .zero)
      rows.append(
        (
          "saving",
          "\(formatted(.seconds(saveSeconds))), \(written) written of \(size)"
            + (snapshotFile.map { ", kept in " + Output.singleLine($0) } ?? "")
        ))
    }
    rows.append(("touching", touching))
    if let writeSeconds {
      rows.append(("writing", formatted(.seconds(writeSeconds)) + " to write to each page"))
    }
    rows.append(("faults", faults))
    rows.append(("exits", exitList))
    rows.append(("resident", resident))
    rows.append(("zero check", zeroCheck))
    rows.append(("arena", "\(formatted(.seconds(arenaSeconds))) before that"))
    if let reservedPages {
      let noun = reservedPages == 1 ? "huge page" : "huge pages"
      rows.append(("reserved", "\(grouped(reservedPages)) \(noun), given back"))
    }
    rows.append(("verified", verified ? "yes" : "no"))
    rows += problems.map { ("problem", $0) }
    let width = rows.map(\.label.count).max() ?? 0
    let table = rows.map { row in
      row.label + String(repeating: " ", count: width - row.label.count + 2) + row.value + "\n"
    }.joined()
    return headline + "\n\n" + table
  }

  private var headline: String {
    "A guest with \(processors) touched \(memoryBytes) in \(formatted(.seconds(touchSeconds))), "
      + "\(faultCount), "
      + (verified ? "all as it should be." : "but not all is as it should be.")
  }

  private var faultCount: String {
    let count = demandFaults + copyFaults
    return count == 0 ? "no faults" : count == 1 ? "1 fault" : "\(grouped(count)) faults"
  }

  private var processors: String {
    cpus == 1 ? "1 processor" : "\(grouped(UInt64(cpus))) processors"
  }

  private var modeText: String {
    switch mode {
    case "wired": "wired, all memory wired before the guest starts"
    case "demand": "demand, pages come when the guest touches them"
    case "fork": "fork, of a guest that has filled three quarters of its memory"
    default: "snapshot, of a guest that has filled three quarters, restored on demand"
    }
  }

  private var touching: String {
    let each = touchedPages == 0 ? 0 : touchSeconds / Double(touchedPages) * Double(cpus)
    return "\(formatted(.seconds(touchSeconds))) for \(grouped(touchedPages)) pages of 4 KiB, "
      + "\(formatted(.seconds(each))) each on a processor"
  }

  private var faults: String {
    if demandFaults + copyFaults == 0 { return "none" }
    var list = ["\(grouped(demandFaults)) on demand"]
    if copyFaults > 0 { list.append("\(grouped(copyFaults)) to copy") }
    var origins: [String] = []
    if zeroedFaults > 0 { origins.append("\(grouped(zeroedFaults)) brought zeros") }
    if copiedFaults > 0 { origins.append("\(grouped(copiedFaults)) copies") }
    if pagedFaults > 0 { origins.append("\(grouped(pagedFaults)) the file's bytes") }
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
      ? "all zero where it should be" : "\(grouped(nonzeroBytes)) bytes are not zero"
  }
}
