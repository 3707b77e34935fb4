internal import CHoldfastLinux
package import HoldfastCore

/// What the kernel reports about a file. The corresponding C function is `stat`.
package struct FileStatus: Hashable, Sendable {
  /// The identity of a file, which does not depend on its names.
  package struct Identity: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64
  }

  /// The device and inode.
  package let identity: Identity
  /// The size.
  package let size: ByteCount
  /// The memory or disk space that the file has; less than `size` if it has holes.
  package let allocated: ByteCount
  /// When the inode last changed (st_ctime), in seconds since 1970.
  package let changed: Int64
  /// When the contents were last modified (st_mtime), in seconds since 1970, unless a process has
  /// set it.
  package let modified: Int64
  /// The permissions, with the sticky and set-id bits.
  package let permissions: UInt32
  /// The owner's user number.
  package let owner: UInt32
  /// The group's number.
  package let group: UInt32
  /// The number of names.
  package let links: UInt32
  /// The type in words: `a regular file`, `a symbolic link`.
  package let kind: String

  /// The number of the inode.
  var inode: UInt64 { identity.inode }
  /// The device as proc_pid_maps(5) shows it: `00:2a`.
  var deviceText: String {
    func text(_ number: UInt64) -> String {
      let digits = String(number, radix: 16)
      return digits.count < 2 ? "0" + digits : digits
    }
    let device = identity.device
    let major = (device >> 8 & 0xFFF) | (device >> 32 & ~0xFFF)
    let minor = (device & 0xFF) | (device >> 12 & ~0xFF)
    return text(major) + ":" + text(minor & 0xFFFF_FFFF)
  }

  /// Whether it is a regular file.
  package var isRegular: Bool { kind == Self.regular }
  /// Whether it is a folder.
  package var isFolder: Bool { kind == "a folder" }

  /// Whether another file is on the same file system.
  package func isOnFileSystem(of other: FileStatus) -> Bool {
    identity.device == other.identity.device
  }

  private static let regular = "a regular file"

  init(_ file: hf_file) {
    identity = Identity(device: file.device, inode: file.inode)
    size = ByteCount(file.size)
    allocated = ByteCount(file.allocated)
    changed = file.changed
    modified = file.modified
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
