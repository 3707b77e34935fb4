internal import CHoldfastLinux
internal import SystemPackage

/// The mappings of this process, asked for by address (`/proc/self/maps`, PROCMAP_QUERY), so that
/// other mappings cost nothing.
struct MappingTable {
  /// A mapping, as far as it is within the range that was asked for.
  struct Mapping: Hashable {
    /// The addresses.
    let range: Range<UInt64>
    /// The size of the pages of its file system in bytes: 4,096, or that of hugetlb pages.
    let pageSize: UInt64

    /// Whether it maps hugetlb pages.
    var isHugetlb: Bool { pageSize > 4096 }
  }

  private let file: FileDescriptor
  /// More than any kernel's largest huge page.
  private static let largestPage: UInt64 = 1 << 40

  /// Opens the file; nil if it may not be read.
  init?() {
    guard
      let file = try? unsafe FileDescriptor.open(
        "/proc/self/maps", .readOnly, options: .closeOnExec)
    else { return nil }
    self.file = file
  }

  /// Closes the file.
  func close() {
    try? file.close()
  }

  /// Calls `body` with each mapping that overlaps a range, in ascending order.
  ///
  /// - Throws: `inappropriateIOCTLForDevice` before Linux 6.11.
  /// - Complexity: O(mappings in the range).
  func forEach(
    in range: Range<UInt64>, _ body: (Mapping) throws(Errno) -> Void
  ) throws(Errno) {
    var address = range.lowerBound
    while address < range.upperBound {
      var found = hf_mapping()
      // SAFETY: the call writes one structure.
      let status = unsafe hf_query_mapping(file.rawValue, address, &found)
      if Errno(rawValue: -status) == .noSuchFileOrDirectory { return }
      try check(status)
      // What no kernel says must not trap below.
      guard found.end > address, found.start < found.end, found.page_size.nonzeroBitCount == 1,
        found.page_size <= Self.largestPage
      else { throw .ioError }
      let part = max(found.start, address)..<max(found.start, min(found.end, range.upperBound))
      if part.isEmpty || part.lowerBound >= range.upperBound { return }
      try body(Mapping(range: part, pageSize: found.page_size))
      address = found.end
    }
  }

  /// Whether a mapping is locked in memory (mlock(2)), or hugetlb.
  static func isLocked(at address: UInt64) throws(Errno) -> Bool {
    let status = hf_is_locked(address)
    try check(status)
    return status == 1
  }
}
