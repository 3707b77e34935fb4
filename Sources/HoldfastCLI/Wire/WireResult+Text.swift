internal import HoldfastCore
internal import HoldfastLinux

extension WireResult {
  /// The receipt for people: a sentence, then what was obtained, then what was not.
  var text: String {
    var rows: [(label: String, value: String)] = [
      ("requested", "\(requestedBytes)"),
      ("resident", amount(residentBytes)),
      ("wired", amount(wiredBytes)),
      ("locked", lockedBytes == .zero ? "none" : amount(lockedBytes)),
      ("pages", pageList),
      ("nodes", nodeList),
      ("zeroed", "\(amount(zeroedAheadBytes)) ahead, \(amount(zeroedNowBytes)) now"),
      ("backing", "\(backing.rawValue), \(backingReason)"),
      ("path", path),
      ("wiring", wiring),
      ("arena", arena),
      ("verified", verification),
    ]
    if checkedInvariants {
      rows.append(
        ("invariants", verified ? "every frame, page and translation accounted for" : "see below"))
    }
    if let reserved {
      let count = reserved.pages.rawValue
      let pages = "\(grouped(count)) huge page" + (count == 1 ? "" : "s")
      rows.append(("reserved", pages + " of \(reserved.pageBytes), given back"))
    }
    if let lease {
      let times = [lease.seconds, lease.endSeconds].map { formatted(.seconds($0)) }
      rows.append(("leased", "in \(times[0]), \(lease.path)"))
      rows.append(("given back", "in \(times[1]): \(lease.sentence)"))
    }
    rows += problems.map { ("problem", $0) }
    // What could not be locked has a sentence of its own.
    rows += fallbacks.filter { !$0.hasPrefix("not locked:") }.map { ("fallback", $0) }

    let width = rows.map(\.label.count).max() ?? 0
    let table = rows.map { row in
      row.label + String(repeating: " ", count: width - row.label.count + 2) + row.value + "\n"
    }.joined()
    return headline + "\n\n" + table + lockSentence
  }

  private var headline: String {
    let outcome = verified ? "verified" : "but not what the kernel has"
    return "\(requestedBytes) of guest memory wired in \(formatted(.seconds(wireSeconds))), "
      + outcome + "."
  }

  private func amount(_ bytes: ByteCount) -> String {
    bytes == .zero ? "0" : HostReport.rounded(bytes)
  }

  private var pageList: String {
    let sizes = pages.compactMap { key, count in
      UInt64(key).map { (size: ByteCount($0), count: count) }
    }
    let list = sizes.sorted { $0.size > $1.size }.map { "\(grouped($0.count)) of \($0.size)" }
    return list.isEmpty ? "none" : list.joined(separator: ", ")
  }

  /// Where the pages are, and where the arena's were to come from if that was anybody's choice.
  private var nodeList: String {
    let found = (nodes ?? [:]).compactMap { key, bytes in UInt32(key).map { ($0, bytes) } }
    let list = found.sorted { $0.0 < $1.0 }.map { "\(amount($0.1)) on node \($0.0)" }
    let there = nodes == nil ? "unknown" : list.isEmpty ? "none" : list.joined(separator: ", ")
    let wanted = domains.compactMap { domain in
      domain.node.flatMap { node in
        domain.policy.map { "\(amount(domain.bytes)) of node \(node) (\($0))" }
      }
    }
    return there + (wanted.isEmpty ? "" : "; arena: " + wanted.joined(separator: ", "))
  }

  private var wiring: String {
    let parts: [(String, Double)] =
      path == "fault"
      ? [("page by page", stages.entering)]
      : [
        ("allocating", stages.allocating), ("zeroing", stages.zeroing),
        ("entering", stages.entering), ("finishing", stages.finishing),
      ]
    return formatted(.seconds(wireSeconds)) + ": "
      + parts.map { "\($0.0) \(formatted(.seconds($0.1)))" }.joined(separator: ", ")
  }

  private var arena: String {
    let speed = rate(requestedBytes, in: .seconds(arenaSeconds))
    return "\(formatted(.seconds(arenaSeconds))) before that, \(threads) "
      + (threads == 1 ? "thread" : "threads") + ", \(speed)"
  }

  private var verification: String {
    (verified ? "yes" : "no") + ", against smaps, pagemap and mincore"
      + (verifiedFrames ? ", frame by frame" : "; frame numbers are hidden from this user")
  }

  private var lockSentence: String {
    guard let lockProblem else { return "" }
    return "\nNot locked: the host may swap this memory out. \(lockProblem).\n"
  }
}
