internal import HoldfastCore

/// What an arena's guests need of their memory, and so which backings an arena may have.
///
/// Demand paging and forks need a file, so that a guest's pages can be mapped one by one, and
/// userfaultfd(2) with faults that the kernel takes for the process, as KVM does. `GuestMemory`
/// refuses what its arena cannot do; an arena for the right purpose always can.
public enum ArenaPurpose: String, Hashable, Sendable, CaseIterable, Codable {
  /// Guests whose memory is wired when it is mapped. Every backing can do this, on every host. An
  /// arena for wiring may still be able to page and fork, if its backing happens to have a file.
  case wiring
  /// Guests whose pages become resident when they are first accessed, and guests restored from a
  /// snapshot on demand.
  case paging
  /// Guests that are forked. Forks need what paging needs.
  case forking

  /// The backings that can serve the purpose, the best first and `base` last.
  ///
  /// A page fault populates a whole page, and the first write after a fork copies one. So for
  /// paging and forking pages of 1 GiB come only before those of 4 KiB.
  var backings: [Backing] {
    switch self {
    case .wiring: [.hugetlb1G, .hugetlb2M, .thp, .thpPrivate, .base]
    case .paging, .forking: [.hugetlb2M, .thp, .hugetlb1G, .base]
    }
  }

  /// Checks that the host, and the backing if one is named, can serve the purpose.
  ///
  /// - Throws: `HoldfastError` with code `unsupported` for the host, `invalidArgument` for the
  ///   backing.
  func check(
    _ backing: Backing?, _ size: ByteCount, _ host: HostCapabilities
  ) throws(HoldfastError) {
    if self == .wiring { return }
    let operation = "prepare an arena of \(size) for \(rawValue)"
    if let error = host.userFault.error(
      of: .paging, operation, otherwise: "wire the guests' memory")
    {
      throw error
    }
    guard let backing, !backings.contains(backing) else { return }
    throw HoldfastError(
      .invalidArgument, operation: operation,
      reason: "\(backing.rawValue) is private memory, which has no file to map pages from",
      advice: .useBacking(backings))
  }
}
