/// A difference between what the kubelet counts and what reservoirs have.
package enum AccountingDifference: Hashable, Sendable {
  /// Reservoirs hold more than the limit, so the scheduler promises pages that are not free.
  case heldBeyondLimit(pageSize: UInt64)
  /// The levels want more than the limit.
  case levelsBeyondLimit(pageSize: UInt64)
  /// Reservoirs hold less than their levels want, and fill no file, so pages are counted as used
  /// that are not. Between two fills `held` changes, and with it the difference.
  case heldBelowLevels(pageSize: UInt64, held: UInt64)
  /// A pod has a device whose lease is gone.
  case deviceWithoutLease(resource: String, device: String)
  /// A lease has ended for the kubelet, and cannot be released.
  case leaseWithoutPod(String)
  /// What is asked does not answer, so that nothing can be compared.
  case noAnswer(of: String)
}

/// Decides which differences count: those that last. A fill and a lease pass through states in which
/// the accounting differs, and the kubelet and the service are not asked at the same moment.
package struct AccountingComparison: Sendable {
  private struct Note {
    var since: ContinuousClock.Instant
    var rounds = 0
  }

  /// The fewest rounds that a difference lasts.
  package static let fewestRounds = 3

  private var notes: [AccountingDifference: Note] = [:]
  private let settle: Duration

  /// - Parameter settle: how long a difference lasts until it counts.
  package init(settle: Duration) { self.settle = settle }

  /// Notes the differences of a round, and returns those that count.
  package mutating func observe(
    _ present: Set<AccountingDifference>, at now: ContinuousClock.Instant
  ) -> Set<AccountingDifference> {
    notes = notes.filter { present.contains($0.key) }
    for difference in present { notes[difference, default: Note(since: now)].rounds += 1 }
    return Set(
      notes.filter { $0.value.rounds >= Self.fewestRounds && now - $0.value.since >= settle }.keys)
  }

  /// One line for people; nil where the accounting agrees.
  package static func line(
    _ differences: Set<AccountingDifference>, _ balances: [MemoryBalance]
  ) -> String? {
    var lines = balances.flatMap { balance in
      differences.compactMap { balance.text($0) }.sorted()
    }
    func list(_ names: [String], _ one: String, _ several: String) {
      guard !names.isEmpty else { return }
      let sorted = names.sorted()
      let shown = sorted.prefix(3).joined(separator: ", ")
      lines.append(
        (names.count == 1 ? one : "\(names.count) \(several)") + ": " + shown
          + (names.count > 3 ? " and others" : ""))
    }
    list(
      differences.compactMap {
        guard case .deviceWithoutLease(let resource, let device) = $0 else { return nil }
        return "\(resource) \(device)"
      }, "a pod has a device without a lease", "devices of pods have no lease")
    list(
      differences.compactMap {
        guard case .leaseWithoutPod(let name) = $0 else { return nil }
        return name
      }, "a lease has no pod, and its file is in use", "leases have no pod, and are in use")
    lines += differences.compactMap { difference -> String? in
      guard case .noAnswer(let name) = difference else { return nil }
      return "\(name) does not answer"
    }.sorted()
    return lines.isEmpty ? nil : lines.joined(separator: "; ")
  }
}
