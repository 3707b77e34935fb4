internal import CHoldfastLinux
package import HoldfastCore

/// What the kernel reports about a file system. The corresponding C function is `statfs`.
package struct FileSystemStatus: Hashable, Sendable {
  /// The types that Holdfast distinguishes.
  package enum Kind: Hashable, Sendable {
    case hugetlbfs
    case tmpfs
    case other
  }

  /// The type.
  package let kind: Kind
  /// The page size of its files: on hugetlbfs the huge page, otherwise the block.
  package let pageSize: ByteCount
  /// The bytes that it may hold, or nil if it has no limit of its own.
  package let total: ByteCount?
  /// The bytes of that that are free.
  package let free: ByteCount?

  init(_ system: hf_file_system) {
    kind =
      switch system.type {
      case Int64(HF_HUGETLBFS): .hugetlbfs
      case Int64(HF_TMPFS): .tmpfs
      default: .other
      }
    pageSize = ByteCount(max(1, system.block))
    total = system.total == 0 ? nil : ByteCount(system.total.saturatingProduct(system.block))
    free = system.total == 0 ? nil : ByteCount(system.free.saturatingProduct(system.block))
  }
}
