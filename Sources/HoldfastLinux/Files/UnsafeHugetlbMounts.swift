internal import CHoldfastLinux
package import HoldfastCore
package import SystemPackage

/// The mounts of hugetlbfs.
package enum HugetlbMounts {
  /// The kernel's list of this process's mounts.
  package static let list = "/proc/self/mountinfo"

  /// The mount points, in the order in which they were mounted, or nil where ``list`` cannot be
  /// read.
  package static func paths() -> [String]? {
    HostFiles(root: "/").text(list, limit: 1 << 22).map {
      Mount.parse($0, type: "hugetlbfs").map(\.point)
    }
  }

  /// The memory that the pool reserves for the files of a mount (`min_size=`), or nil where there is
  /// none or that is unknown.
  package static func minimumSize(of path: String) -> ByteCount? {
    let mounts = Mount.parse(
      HostFiles(root: "/").text(list, limit: 1 << 22) ?? "", type: "hugetlbfs")
    let option = "min_size="
    return mounts.last { $0.point == path }?.options.first { $0.hasPrefix(option) }
      .flatMap { UInt64($0.dropFirst(option.count)) }.map { ByteCount($0) }
  }

  /// Mounts a hugetlbfs whose top folder is the caller's, with mode 0755. The corresponding C
  /// function is `mount`.
  package static func mount(_ path: String, pageSize: ByteCount) throws(Errno) {
    if path.utf8.contains(0) { throw .invalidArgument }
    // SAFETY: both texts' bytes live through the call.
    try check(
      unsafe hf_mount_hugetlbfs(path, "pagesize=\(pageSize.rawValue >> 10)K,mode=0755"))
  }

  /// Mounts a hugetlbfs that only the calling thread sees, and the threads and processes that it
  /// creates. It ends with the last of them, however they end. The corresponding C functions are
  /// `unshare` and `mount`.
  ///
  /// - Returns: the mount point, a folder that hosts have and monitors seldom need.
  package static func mountForThisThread(pageSize: ByteCount) throws(Errno) -> String {
    var problem = Errno.noSuchFileOrDirectory
    for path in ["/dev/hugepages", "/mnt", "/media"] {
      do throws(Errno) {
        try mountForThisThread(path, pageSize: pageSize)
        return path
      } catch {
        problem = error
        if error != .noSuchFileOrDirectory { break }
      }
    }
    throw problem
  }

  /// The same in a folder.
  package static func mountForThisThread(_ path: String, pageSize: ByteCount) throws(Errno) {
    try check(hf_own_mounts())
    try mount(path, pageSize: pageSize)
  }

  /// Removes a mount; its files last as long as they are open. The corresponding C function is
  /// `umount2`, with MNT_DETACH.
  package static func unmount(_ path: String) throws(Errno) {
    if path.utf8.contains(0) { throw .invalidArgument }
    // SAFETY: the path's bytes live through the call.
    try check(unsafe hf_unmount(path))
  }
}

extension Folder {
  /// Creates a folder with mode 0755, whatever the umask. The corresponding C functions are `mkdir`
  /// and `chmod`.
  package static func make(path: String) throws(Errno) {
    if path.utf8.contains(0) { throw .invalidArgument }
    // SAFETY: the path's bytes live through the call.
    try check(unsafe hf_make_folder_at(hf_current_folder(), path, 0o755))
  }
}
