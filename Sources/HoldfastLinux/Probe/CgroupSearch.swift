/// Finds the folder of this process's cgroup in a mount that was made outside of the cgroup
/// namespace (cgroup_namespaces(7)), as after `unshare -C`.
///
/// The kernel tells the path from the namespace's root, and by how many levels that is below the
/// mount's root, but no names in between. The folder is the one whose `cgroup.procs` has the
/// process.
struct CgroupSearch {
  let files: HostFiles

  /// The number of folders that are looked at, so that a host with many cgroups costs no more than
  /// some milliseconds.
  private static let most = 4096

  /// The folders of a cgroup and its ancestors up to the mount point, or nil if it is not found.
  func directories(of cgroup: String, in mount: Mount) -> [String]? {
    let names = Mount.names(cgroup)
    guard let levels = mount.levelsAboveNamespace, levels <= 16, !names.contains(".."),
      let process = HostParsers.field("Pid", in: files.text("/proc/self/status") ?? "")
    else { return nil }
    var left = Self.most
    var paths: [[String]] = [[]]
    for _ in 0..<levels {
      var below: [[String]] = []
      for path in paths {
        let folder = mount.directories(upFrom: path)[0]
        for name in files.names(in: folder) where left > 0 {
          // A control file is no folder, and has no file below it.
          guard files.text("\(folder)/\(name)/cgroup.procs", limit: 1) != nil else { continue }
          left -= 1
          below.append(path + [name])
        }
      }
      paths = below
    }
    for path in paths {
      let found = mount.directories(upFrom: path + names)
      let processes = files.text(found[0] + "/cgroup.procs", limit: 1 << 22) ?? ""
      if processes.split(whereSeparator: \.isNewline).contains(process) { return found }
    }
    return nil
  }
}
