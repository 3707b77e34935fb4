internal import Glibc
internal import SystemPackage

/// Whether other users than the owner and root could exchange a folder, under a process that relies
/// on what is in it.
package enum FolderTrust {
  /// Why the folder of a reservoir or of templates on a mount cannot be trusted, or nil. A user who
  /// may write to the mount's folder could exchange that one, under a command that uses it.
  ///
  /// - Parameter owner: the owner of the folder, nil before it exists.
  package static func problem(mount: FileStatus, ownedBy owner: UInt32?) -> String? {
    let caller = geteuid()
    let trusted: Set<UInt32> = [0, caller, owner ?? caller]
    guard trusted.contains(mount.owner) else {
      return "user \(mount.owner) owns the mount's folder"
    }
    let isWritable = mount.permissions & 0o022 != 0
    // In a sticky folder a user can only rename what belongs to that user.
    if isWritable, mount.permissions & 0o1000 == 0 {
      return "users other than user \(mount.owner) may write to the mount's folder"
    }
    // The owner of the files can read what guests write to them.
    if let owner, owner != 0, owner != caller, mount.owner != 0 || isWritable {
      return
        "user \(owner) owns the folder in it, and the mount is not one that only root may write to"
    }
    return nil
  }

  /// Why the path to a mount cannot be trusted, or nil. A user who may rename one of the folders in
  /// it could put another in its place, between the checks and the program that gets the path of
  /// the memory.
  ///
  /// - Parameter mount: an absolute path. The parents of what symbolic links in it refer to are not
  ///   checked.
  package static func problem(above mount: String) -> String? {
    let trusted: Set<UInt32> = [0, geteuid()]
    var path = ""
    for component in mount.split(separator: "/").dropLast() {
      path += "/" + component
      for followsLink in [false, true] {
        // One that cannot be looked up cannot be opened either.
        guard let status = try? Folder.status(path: path, followsLink: followsLink) else {
          continue
        }
        if !trusted.contains(status.owner) { return "user \(status.owner) owns \(path)" }
        // All may write to a link, which has no effect; who may replace it says its folder.
        if status.isFolder, status.permissions & 0o022 != 0, status.permissions & 0o1000 == 0 {
          return "users other than user \(status.owner) may write to \(path)"
        }
      }
    }
    return nil
  }
}
