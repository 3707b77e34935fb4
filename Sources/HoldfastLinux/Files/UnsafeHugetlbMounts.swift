internal import CHoldfastLinux
package import HoldfastCore
package import SystemPackage

/// Mounts of hugetlbfs.
package enum HugetlbMounts {
  /// Where there are any, in the order in which they were mounted.
  package static func paths() -> [String] {
    let text = HostFiles(root: "/").text("/proc/self/mountinfo", limit: 1 << 22) ?? ""
    return Mount.parse(text, type: "hugetlbfs").map(\.point)
  }

  /// Mounts one whose top folder is the caller's, and others' only to look at. The corresponding C
  /// function is `mount`.
  package static func mount(_ path: String, pageSize: ByteCount) throws(Errno) {
    if path.utf8.contains(0) { throw .invalidArgument }
    // SAFETY: both texts' bytes live through the call.
    try check(
      unsafe hf_mount_hugetlbfs(path, "pagesize=\(pageSize.rawValue >> 10)K,mode=0755"))
  }
}

extension Folder {
  /// Makes a folder that all may look into. The corresponding C function is `mkdir`.
  package static func make(path: String) throws(Errno) {
    if path.utf8.contains(0) { throw .invalidArgument }
    // SAFETY: the path's bytes live through the call.
    try check(unsafe hf_make_folder_at(hf_current_folder(), path, 0o755))
  }
}
