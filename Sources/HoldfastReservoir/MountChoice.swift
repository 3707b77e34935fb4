internal import HoldfastCore
internal import HoldfastLinux

/// Chooses a mounted hugetlbfs for a new reservoir. A host can have several, also of page sizes
/// that it has no pages of.
struct MountChoice {
  /// A mount that can have a reservoir of the caller's.
  struct Candidate {
    let path: String
    let pageSize: ByteCount
    /// Whether a reservoir is there already.
    let hasReservoir: Bool
  }

  /// The pages that each pool has or may get as surplus, by page size.
  let pages: [ByteCount: UInt64]
  let defaultSize: ByteCount?

  /// The choice on a host.
  init(_ host: HostCapabilities) {
    pages = Dictionary(
      host.hugePages.map { ($0.size, Self.pages($0)) }, uniquingKeysWith: { first, _ in first })
    defaultSize = host.defaultHugePageSize
  }

  private static func pages(_ pool: HostCapabilities.HugePages) -> UInt64 {
    max((pool.total ?? .zero).rawValue, (pool.overcommit ?? .zero).rawValue)
  }

  private func has(_ size: ByteCount) -> Bool { (pages[size] ?? 0) > 0 }

  /// How well a mount suits; the first mount of the lowest rank is the best.
  private func rank(_ mount: Candidate) -> Int {
    if mount.hasReservoir { return 0 }
    let isDefault = mount.pageSize == defaultSize
    return has(mount.pageSize) ? (isDefault ? 1 : 2) : (isDefault ? 3 : 4)
  }

  /// The best of the mounts, and why it is.
  ///
  /// - Returns: nil without mounts, or if hugetlbfs should be mounted anew: the pools of all
  ///   mounts are empty, and the one of `newSize` is not.
  func best(
    of mounts: [Candidate], newSize: ByteCount?
  ) -> (mount: Candidate, reason: String)? {
    let ranked = mounts.enumerated().map { (rank: rank($1), number: $0, mount: $1) }
      .sorted { ($0.rank, $0.number) < ($1.rank, $1.number) }
    guard let first = ranked.first else { return nil }
    if first.rank > 2, let newSize, has(newSize) { return nil }
    let others = ranked.dropFirst().map(\.mount)
    let reason = reason(first.mount, first.rank)
    if others.isEmpty { return (first.mount, reason + ", and is the only suitable mount") }
    return (first.mount, reason + "; not taken: " + describe(others))
  }

  /// `/mnt/huge (1 GiB pages, its pool is empty)`.
  func describe(_ mounts: [Candidate]) -> String {
    mounts.map { mount in
      let pool = has(mount.pageSize) ? "" : ", its pool is empty"
      return "\(mount.path) (\(mount.pageSize) pages\(pool))"
    }.joined(separator: ", ")
  }

  private func reason(_ mount: Candidate, _ rank: Int) -> String {
    let size = mount.pageSize == defaultSize ? ", the default size" : ""
    let count = pages[mount.pageSize] ?? 0
    return switch rank {
    case 0: "\(mount.path) has a reservoir already"
    case 1, 2:
      "the pool of \(mount.path) has \(count) " + (count == 1 ? "page" : "pages")
        + " of \(mount.pageSize)" + size
    default: "\(mount.path) has pages of \(mount.pageSize)\(size), though its pool is empty"
    }
  }
}
