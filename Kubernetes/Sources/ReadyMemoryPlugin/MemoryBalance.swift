internal import HoldfastCore

/// The memory of a page size in the accounting of both: what reservoirs hold, and the limit that the
/// kubelet counts as used.
package struct MemoryBalance: Hashable, Sendable {
  /// The size of the pages, in bytes.
  package var pageSize: UInt64
  /// The container's limit in bytes; nil where it is not known, so that nothing is compared.
  package var limit: UInt64?
  /// The bytes of files that are ready, leased and being filled.
  package var ready: UInt64 = 0
  package var leased: UInt64 = 0
  package var filling: UInt64 = 0
  /// The bytes that the levels want to be ready; nil where that is not known.
  package var levels: UInt64? = 0

  package init(pageSize: UInt64, limit: UInt64?) {
    self.pageSize = pageSize
    self.limit = limit
  }

  /// All that reservoirs hold.
  package var held: UInt64 { ready.addingSaturated(leased).addingSaturated(filling) }

  /// The limit less what is held: negative where the kubelet counts pages as free that are not.
  package var difference: Int64? {
    limit.map { limit in
      limit >= held ? Int64(clamping: limit - held) : -Int64(clamping: held - limit)
    }
  }

  /// How the accounting differs. A limit above what is held is room for leases, as long as the
  /// reservoir holds what its levels want.
  package var differences: [AccountingDifference] {
    guard let limit else { return [] }
    var found: [AccountingDifference] = []
    if held > limit { found.append(.heldBeyondLimit(pageSize: pageSize)) }
    if let levels {
      if levels > limit { found.append(.levelsBeyondLimit(pageSize: pageSize)) }
      // A file that is being filled may take minutes.
      if held < min(levels, limit), filling == 0 {
        found.append(.heldBelowLevels(pageSize: pageSize, held: held))
      }
    }
    return found
  }

  /// A difference for people.
  func text(_ difference: AccountingDifference) -> String? {
    let held = ByteCount(held)
    let limit = ByteCount(self.limit ?? 0)
    let levels = ByteCount(self.levels ?? 0)
    func beyond(_ bytes: ByteCount) -> String {
      "\(ByteCount(bytes.rawValue - min(bytes.rawValue, limit.rawValue))) more than the limit of "
        + "\(limit)"
    }
    let pages = "pages of \(ByteCount(pageSize))"
    switch difference {
    case .heldBeyondLimit(pageSize):
      return "\(pages): the reservoir holds \(held), \(beyond(held))"
    case .levelsBeyondLimit(pageSize):
      return "\(pages): the levels want \(levels), \(beyond(levels))"
    case .heldBelowLevels(pageSize, _):
      return "\(pages): the reservoir holds \(held) of the \(levels) that its levels want, "
        + "\(ByteCount(limit.rawValue - min(held.rawValue, limit.rawValue))) less than the limit "
        + "of \(limit)"
    default: return nil
    }
  }
}
