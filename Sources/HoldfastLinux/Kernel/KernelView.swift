package import HoldfastCore

/// What the kernel itself reports about a range of a window.
package struct KernelView: Hashable, Sendable {
  /// How the kernel is asked.
  package enum Source: CaseIterable, Sendable {
    /// By ioctl(2) calls about the range alone, whose cost grows with the entries of its page
    /// tables (Linux 6.11); by the files where the kernel has none.
    case queries
    /// By reading `/proc/self/smaps` and the entries of `/proc/self/pagemap`.
    case files
  }

  /// The bytes whose pages are in the page tables, so that an access does not fault. Nil if pagemap
  /// may not be read, as in a program with file capabilities.
  package var present: UInt64?
  /// The resident bytes, from mincore(2).
  package var resident: UInt64 = 0
  /// The present bytes by the size of the page-table entry that maps them.
  package var bytesByPageSize: [ByteCount: UInt64] = [:]
  /// Whether a mapping exceeds the range, so that `bytesByPageSize` counts too much.
  package var isCut = false
  /// The bytes of the arena that the kernel will not reclaim, because they are locked or hugetlb.
  package var locked: UInt64 = 0
  /// The 4 KiB pages whose frame the kernel reported here and in the arena's direct map, and those
  /// that are in the direct map itself.
  package var comparedPages: UInt64 = 0
  /// Those of them whose frames differ.
  package var misplacedPages: UInt64 = 0
  /// The nodes of the pages.
  package var nodes = NodeView()

  /// Creates an empty view.
  package init() {}

  /// Adds bytes that entries of a size map. A mapping whose size is missing adds none.
  mutating func add(_ bytes: UInt64, in size: ByteCount) {
    guard bytes > 0, size > .zero else { return }
    bytesByPageSize[size] = bytesByPageSize[size, default: 0].saturatingSum(bytes)
  }
}
