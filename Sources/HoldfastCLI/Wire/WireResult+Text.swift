internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

extension WireResult {
  /// The receipt for people: a sentence, then what was obtained, then what was not obtained.
  var text: String {
    var rows: [(label: String, value: String)] = [
      ("requested", "\(receipt.requestedBytes)"),
      ("resident", amount(receipt.residentBytes)),
      ("wired", amount(receipt.wiredBytes)),
      ("locked", receipt.lockedBytes == .zero ? "none" : amount(receipt.lockedBytes)),
      ("pages", pageList),
      ("nodes", nodeList),
      ("zeroed", zeroed),
      ("backing", "\(receipt.backing.rawValue), \(backingReason)"),
      ("placement", "\(receipt.placement.rawValue): \(receipt.placementReason)"),
      ("path", receipt.path?.rawValue ?? "none"),
      ("wiring", wiring),
      ("arena", preparation),
      ("verified", verified),
    ]
    if let brokenInvariants {
      let isIntact = brokenInvariants.isEmpty
      rows.append(
        ("invariants", isIntact ? "every frame, page and translation is consistent" : "see below"))
    }
    if let reserved {
      let count = reserved.pages.rawValue
      let pages = "\(grouped(count)) huge page" + (count == 1 ? "" : "s")
      rows.append(("reserved", pages + " of \(reserved.pageSize), returned"))
    }
    if let lease {
      let times = [lease.receipt.seconds, lease.endSeconds].map { formatted(.seconds($0)) }
      rows.append(("leased", "in \(times[0]), \(lease.receipt.path)"))
      rows.append(("lease end", "in \(times[1]): \(lease.end)"))
    }
    rows += problems.map { ("problem", $0) }
    // Memory that could not be locked has a sentence of its own.
    rows += fallbacks.filter { !$0.hasPrefix("not locked:") }.map { ("fallback", $0) }
    return headline + "\n\n" + labeled(rows) + lockSentence
  }

  private var headline: String {
    let outcome = isVerified ? "verified" : "but the kernel's view differs"
    return "\(receipt.requestedBytes) of guest memory wired in \(formatted(receipt.duration)), "
      + outcome + "."
  }

  private var zeroed: String {
    "\(amount(receipt.zeroedAheadBytes)) ahead, \(amount(receipt.zeroedNowBytes)) now"
  }

  private func amount(_ bytes: ByteCount) -> String {
    bytes == .zero ? "0" : HostReport.rounded(bytes)
  }

  private var pageList: String {
    let list = verification.pages.sorted { $0.key > $1.key }
      .map { "\(grouped($0.value)) of \($0.key)" }
    return list.isEmpty ? "none" : list.joined(separator: ", ")
  }

  /// The nodes of the pages, and the nodes that the arena was bound to, if any.
  private var nodeList: String {
    let list = (verification.nodes ?? [:]).sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\(amount($0.value)) on node \($0.key)" }
    let there =
      verification.nodes == nil ? "unknown" : list.isEmpty ? "none" : list.joined(separator: ", ")
    let wanted = arena.parts.compactMap { part in
      part.node.flatMap { node in
        part.policy.map { "\(amount(part.size)) of node \(node) (\($0.rawValue))" }
      }
    }
    return there + (wanted.isEmpty ? "" : "; arena: " + wanted.joined(separator: ", "))
  }

  private var wiring: String {
    let stages = receipt.stages
    let parts: [(String, Duration)] =
      receipt.path == .fault
      ? [("page by page", stages.entering)]
      : [
        ("allocating", stages.allocating), ("zeroing", stages.zeroing),
        ("entering", stages.entering), ("finishing", stages.finishing),
      ]
    return formatted(receipt.duration) + ": "
      + parts.map { "\($0.0) \(formatted($0.1))" }.joined(separator: ", ")
  }

  private var preparation: String {
    let speed = rate(receipt.requestedBytes, in: receipt.arenaDuration)
    return "prepared before in \(formatted(receipt.arenaDuration)), \(arena.threads) "
      + (arena.threads == 1 ? "thread" : "threads") + ", \(speed)"
  }

  private var verified: String {
    (isVerified ? "yes" : "no") + ", against pagemap and mincore"
      + (verification.comparedFrames
        ? ", frame by frame" : "; frame numbers are hidden from this user")
  }

  private var lockSentence: String {
    guard let lockProblem = receipt.lockProblem else { return "" }
    return "\nNot locked: the host may swap this memory out. \(lockProblem).\n"
  }
}
