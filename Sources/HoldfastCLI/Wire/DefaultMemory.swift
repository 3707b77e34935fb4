internal import HoldfastCore
internal import HoldfastLinux

/// The default size of memory: 10 GiB, or half of the available memory if that is less, so that the
/// host stays usable.
struct DefaultMemory {
  private let host: HostCapabilities

  private static let most = ByteCount.gibibytes(10)
  private static let least = ByteCount.mebibytes(2)
  /// What an arena of ordinary memory leaves to the rest of the host.
  private static let margin = ByteCount.mebibytes(64)

  init(_ host: HostCapabilities) {
    self.host = host
  }

  /// The size for a backing.
  ///
  /// For `auto` it is the largest size that leaves half of the memory that it is allocated from.
  /// The arena uses the first backing with room, so half of the ordinary memory might be nearly all
  /// of a pool of huge pages; then the next smaller size is tried.
  func bytes(for option: BackingOption, reserving: Bool = false) -> ByteCount {
    if let backing = option.backing {
      return half(of: backing, reserving: reserving)
        // Nothing is available: use the size for ordinary memory, and let the error name what is
        // missing.
        ?? half(of: .base, reserving: false) ?? Self.least
    }
    if reserving { return half(of: .hugetlb2M, reserving: true) ?? Self.least }
    let sizes = Backing.allCases.compactMap { half(of: $0, reserving: false) }.sorted(by: >)
    return sizes.first { size in
      guard let taken = taken(for: size) else { return false }
      return half(of: taken, reserving: false).map { size <= $0 } ?? false
    } ?? sizes.last ?? Self.least
  }

  /// The backing that an arena of this size would use now.
  private func taken(for size: ByteCount) -> Backing? {
    Backing.allCases.first { backing in
      let modes = host.transparentHugePages
      if backing == .thp, !modes.givesShared { return false }
      if backing == .thpPrivate, !modes.givesPrivate { return false }
      return size.isMultiple(of: backing.geometry.pageSize)
        && size <= available(backing, reserving: false)
    }
  }

  /// Half of the memory available to a backing, in whole pages, or nil if that is less than one.
  private func half(of backing: Backing, reserving: Bool) -> ByteCount? {
    let available = available(backing, reserving: reserving)
    let half = min(Self.most, ByteCount(available.rawValue / 2))
    // Whole gigabytes are multiples of all page sizes, and are what people ask for.
    let unit: ByteCount =
      half >= .gibibytes(2) || backing == .hugetlb1G ? .gibibytes(1) : Self.least
    let size = half.roundedDown(to: unit)
    return size == .zero ? nil : size
  }

  private func available(_ backing: Backing, reserving: Bool) -> ByteCount {
    guard let page = backing.hugePageSize else {
      let bytes = host.availableForGuests
      return bytes - min(bytes, Self.margin)
    }
    guard let pool = host.hugePages.first(where: { $0.size == page }) else { return .zero }
    guard reserving else { return pool.availableBytes }
    // New huge pages are taken from ordinary memory; a cgroup's limit on that does not count them.
    let sum = pool.availableBytes + (host.memory.available ?? .zero)
    return min(sum, pool.cgroupRemaining ?? sum)
  }
}
