internal import CHoldfastLinux
package import HoldfastCore

/// What the kernel tells of a file. The corresponding C function is `stat`.
package struct FileStatus: Hashable, Sendable {
  /// Which file it is, whatever its name.
  package struct Identity: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64
  }

  package let identity: Identity
  package let size: ByteCount
  /// The memory that it has, which holes have none of.
  package let allocated: ByteCount
  /// When it was last renamed, cut or given another owner, in seconds since 1970.
  package let changed: Int64
  /// Permissions with the sticky and set-id bits.
  package let permissions: UInt32
  package let owner: UInt32
  package let group: UInt32
  /// How many names it has.
  package let links: UInt32
  /// What it is, as one says it: `a regular file`, `a symbolic link`.
  package let kind: String

  package var isRegular: Bool { kind == Self.regular }
  package var isFolder: Bool { kind == "a folder" }

  private static let regular = "a regular file"

  init(_ file: hf_file) {
    identity = Identity(device: file.device, inode: file.inode)
    size = ByteCount(file.size)
    allocated = ByteCount(file.allocated)
    changed = file.changed
    permissions = file.mode & 0o7777
    owner = file.owner
    group = file.group
    links = file.links
    kind =
      switch file.mode & 0o170000 {
      case 0o100000: Self.regular
      case 0o040000: "a folder"
      case 0o120000: "a symbolic link"
      case 0o010000: "a FIFO"
      case 0o140000: "a socket"
      default: "a device"
      }
  }
}

/// What the kernel tells of a file system. The corresponding C function is `statfs`.
package struct FileSystemStatus: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case hugetlbfs
    case tmpfs
    case other
  }

  package let kind: Kind
  /// The page of its files: the huge page, or the block elsewhere.
  package let pageSize: ByteCount
  /// What it may hold, or nil where it has no limit of its own.
  package let total: ByteCount?
  /// What of that is free.
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

extension UInt64 {
  fileprivate func saturatingProduct(_ other: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}
