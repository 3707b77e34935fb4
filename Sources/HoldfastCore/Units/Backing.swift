/// What an arena's memory is made of. The raw value is the name that options and JSON use.
public enum Backing: String, Hashable, Sendable, CaseIterable, Codable {
  /// Huge pages of 1 GiB from the host's pool (Linux: hugetlb).
  case hugetlb1G = "hugetlb-1G"
  /// Huge pages of 2 MiB from the host's pool (Linux: hugetlb).
  case hugetlb2M = "hugetlb-2M"
  /// Shared memory with transparent huge pages of 2 MiB (Linux: shmem_enabled).
  case thp
  /// Private memory with transparent huge pages of 2 MiB, for hosts without reserved huge pages and
  /// with shmem_enabled=never. It has no file, so guests are placed in the arena's own mapping and
  /// can be neither forked nor paged on demand.
  case thpPrivate = "thp-private"
  /// Shared memory of 4 KiB pages.
  case base

  /// The page sizes of an arena of this backing.
  public var geometry: Geometry {
    switch self {
    case .hugetlb1G: .giant
    case .hugetlb2M: .large
    case .thp, .thpPrivate, .base: .small
    }
  }

  /// The page size of the hugetlb pool that the memory comes from, or nil for shared memory.
  public var hugePageSize: ByteCount? {
    switch self {
    case .hugetlb1G: .gibibytes(1)
    case .hugetlb2M: .mebibytes(2)
    case .thp, .thpPrivate, .base: nil
    }
  }

  /// The size of the pages that the kernel is expected to map.
  public var mappedPageSize: ByteCount {
    isTransparentHuge ? .mebibytes(2) : geometry.pageSize
  }

  /// Whether the kernel is asked for huge pages and gives them when it has them.
  public var isTransparentHuge: Bool { self == .thp || self == .thpPrivate }

  /// The backings whose memory is a file that windows can map.
  package static let withFile = allCases.filter(\.hasFile)

  /// Whether the memory is a file that windows can map. Where it is not, guests are placed in the
  /// arena's own mapping.
  public var hasFile: Bool { self != .thpPrivate }
}
